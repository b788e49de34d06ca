"""Layers of a chain, and its limit."""

import pytest
import torch
from tests.support.exact_cases import SHAPE
from torch import Tensor, nn
from torch.testing import assert_close

from palimpsest.attacks.exact.read_chain import read_chain
from palimpsest.errors import KnowledgeError
from palimpsest.models import ConvNet, LeNet, ResNet20


class Skipping(nn.Module):
    """Network with a skip connection, then a block that can be solved."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 2, 3, padding=1)
        self.second = nn.Conv2d(2, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Linear(16, 3)

    def before(self, images: Tensor) -> Tensor:
        return torch.relu(images + self.first(images))

    def forward(self, images: Tensor) -> Tensor:
        return self.last(torch.flatten(self.pool(torch.relu(self.second(self.before(images)))), 1))


def twice(build) -> tuple[nn.Module, nn.Module]:
    return build().eval(), build().eval()


@pytest.mark.parametrize("model", [ConvNet(width=2), LeNet(), LeNet(activation="relu")])
def test_built_in_chains_begin_at_the_image(model) -> None:
    chain, _ = read_chain(*twice(lambda: model((1, 8, 8), 4)), (1, 8, 8))
    assert len(chain.blocks) == 3
    assert not chain.limit
    assert chain.layers[0] == chain.name


def test_a_skip_connection_ends_the_chain() -> None:
    models = Skipping().eval(), Skipping().eval()
    chain, trunk = read_chain(*models, SHAPE)
    assert [block.name for block in chain.blocks] == ["second"]
    assert "not a convolution" in chain.limit or "joins" in chain.limit
    images = torch.rand(3, *SHAPE)
    expected = [model.before(images) for model in models]
    levels = trunk.levels(images)
    assert_close(levels[0], torch.stack(expected, 1).detach())
    assert chain.entry == "relu"
    logits = torch.einsum("mcw,nmw->nmc", chain.weight.float(), levels[1].flatten(2)) + chain.bias.float()
    assert_close(logits, torch.stack([model(images) for model in models], 1).detach())


def test_resnet_keeps_its_last_layer() -> None:
    model = ResNet20()
    chain, trunk = read_chain(*twice(lambda: model((3, 8, 8), 4)), (3, 8, 8))
    assert chain.blocks == ()
    assert chain.limit
    assert trunk.levels(torch.rand(2, 3, 8, 8))[-1].shape == (2, 2, chain.weight.shape[2])


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(32, 3)),
        nn.Sequential(nn.Flatten(), nn.Linear(32, 4), nn.ReLU(), nn.Linear(4, 3, bias=False)),
        nn.Sequential(nn.Conv2d(2, 3, 4), nn.Flatten()),
    ],
)
def test_models_without_anything_to_start_from(model: nn.Module) -> None:
    with pytest.raises(KnowledgeError, match="Choose"):
        read_chain(model, model, SHAPE)


def test_a_forward_pass_that_depends_on_values() -> None:
    class Branching(Skipping):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images if images.sum() > 0 else -images)

    with pytest.raises(KnowledgeError, match="can't be traced"):
        read_chain(*twice(Branching), SHAPE)
