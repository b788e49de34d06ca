import pytest
import torch
import torch.fx
from torch import Tensor, nn

from palimpsest.config import ModelConfig
from palimpsest.models import build_model, laid_out_for

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


class Viewing(nn.Module):
    """Somebody's own: it takes its images for lying as they usually do."""

    def forward(self, images: Tensor) -> Tensor:
        return images.view(images.shape[0], -1)


@pytest.mark.parametrize("name", ["convnet", "resnet20", "lenet"])
def test_a_built_in_model_answers_as_it_would_to_images_as_they_were(name: str) -> None:
    model = build_model(ModelConfig(name=name), shape=(3, 32, 32), classes=10, seed=1).eval()
    laid = laid_out_for(model, IMAGES)
    assert laid.stride(1) == 1
    assert torch.equal(laid, IMAGES)
    torch.testing.assert_close(model(laid), model(IMAGES), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [Viewing(), nn.Sequential(nn.Conv2d(3, 2, 3), Viewing()), torch.fx.symbolic_trace(Viewing())],
    ids=["alone", "inside", "traced"],
)
def test_a_module_of_somebodys_own_gets_images_as_they_are(model: nn.Module) -> None:
    assert laid_out_for(model, IMAGES) is IMAGES
    assert model(laid_out_for(model, IMAGES)).shape[0] == 3


def test_other_samples_are_left_as_they_are() -> None:
    tokens = torch.arange(6).view(2, 3)
    assert laid_out_for(nn.Embedding(6, 2), tokens) is tokens
