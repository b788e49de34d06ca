import pytest
import torch
import torch.fx
from torch import Tensor, nn

from palimpsest.config import ModelConfig
from palimpsest.models import build_model, laid_out_for

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


class Viewing(nn.Module):
    """User-defined module that relies on contiguous images."""

    def forward(self, images: Tensor) -> Tensor:
        return images.view(images.shape[0], -1)


@pytest.mark.parametrize("name", ["convnet", "resnet20", "lenet"])
def test_built_in_models_get_channels_last_and_return_the_same_logits(name: str) -> None:
    model = build_model(ModelConfig(name=name), shape=(3, 32, 32), classes=10, seed=1).eval()
    channels_last = laid_out_for(model, IMAGES)
    assert channels_last.stride(1) == 1
    assert torch.equal(channels_last, IMAGES)
    torch.testing.assert_close(model(channels_last), model(IMAGES), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [Viewing(), nn.Sequential(nn.Conv2d(3, 2, 3), Viewing()), torch.fx.symbolic_trace(Viewing())],
    ids=["alone", "inside", "traced"],
)
def test_user_defined_modules_get_images_unchanged(model: nn.Module) -> None:
    assert laid_out_for(model, IMAGES) is IMAGES
    assert model(laid_out_for(model, IMAGES)).shape[0] == 3


def test_returns_other_samples_unchanged() -> None:
    tokens = torch.arange(6).view(2, 3)
    assert laid_out_for(nn.Embedding(6, 2), tokens) is tokens
