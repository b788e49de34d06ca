import pytest
import torch
import torch.nn.functional as F
from torch import nn

from palimpsest.errors import UnlearningError
from palimpsest.unlearning import nearest_by_gradient


def test_equals_a_reference_implementation():
    generator = torch.Generator().manual_seed(7)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.ReLU(), nn.Linear(8, 3))
    images, others = (torch.rand(count, 1, 4, 4, generator=generator) for count in (6, 9))
    labels, classes = torch.arange(6) % 3, torch.arange(9) % 3

    def gradient(image, label):
        loss = F.cross_entropy(model(image[None]), label[None])
        return torch.cat([part.flatten() for part in torch.autograd.grad(loss, model[3].parameters())])

    mine = torch.stack([gradient(*pair) for pair in zip(images, labels, strict=True)])
    theirs = torch.stack([gradient(*pair) for pair in zip(others, classes, strict=True)])
    expected = torch.cdist(mine, theirs).argmin(1)
    assert torch.equal(nearest_by_gradient(model, images, labels, others, classes), expected)
    assert len(expected.unique()) > 1
    assert model.training


def test_needs_a_linear_layer():
    convolution = nn.Sequential(nn.Conv2d(1, 2, 4), nn.Flatten())
    images, labels = torch.rand(2, 1, 4, 4), torch.tensor([0, 1])
    with pytest.raises(UnlearningError, match="no linear layer"):
        nearest_by_gradient(convolution, images, labels, images, labels)
