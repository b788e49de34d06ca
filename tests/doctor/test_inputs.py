from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tests.support.artifacts import Make
from tests.support.findings import examined, sentences
from torch import nn

from palimpsest.datasets import ImageSet, RowSet
from palimpsest.doctor import Level
from palimpsest.doctor.inputs import channel_scaling, check_accuracy, check_range
from palimpsest.models import with_logits


def test_reports_the_range_and_missing_classes() -> None:
    images = ImageSet("dark", torch.full((4, 1, 2, 2), 1 / 255), torch.tensor([0, 0, 1, 1]), 3)
    findings = list(check_range(images))
    assert "4 auxiliary images of 1 x 2 x 2, pixels 0.00392 to 0.00392" in sentences(findings, Level.OK)
    warnings = sentences(findings, Level.WARNING)
    assert "divided by 255 twice" in warnings
    assert "Only 2 of the model's 3 classes have auxiliary samples" in warnings


def test_reports_the_range_of_rows() -> None:
    rows = RowSet("table", torch.tensor([[-2.0, 0.5], [3.0, 1.0]]), torch.tensor([0, 1]), 2, ("a", "b"))
    (finding,) = check_range(rows)
    assert finding.message == "2 auxiliary rows of a table, 2 numbers each, -2 to 3."


def test_channel_scaling_normalizes_each_channel() -> None:
    images = torch.rand(20, 3, 4, 4)
    scaling = channel_scaling(ImageSet("drawn", images, torch.zeros(20, dtype=torch.int64), 1))
    scaled = (images - torch.tensor(scaling.mean)[:, None, None]) / torch.tensor(scaling.std)[:, None, None]
    assert scaled.mean((0, 2, 3)).abs().max() < 1e-5
    assert (scaled.std((0, 2, 3)) - 1).abs().max() < 1e-2


def test_warns_about_a_model_that_always_predicts_one_class() -> None:
    class First(nn.Module):
        """Puts every image into the first class."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.scale * torch.tensor([1.0, 0.0, 0.0]).expand(len(images), 3)

    images = ImageSet("drawn", torch.rand(30, 1, 2, 2), torch.arange(30) % 3, 3)
    (finding,) = check_accuracy(First().eval(), images, "cpu")
    assert finding.level is Level.WARNING
    assert "classifies 33.3% of 30" in finding.message
    assert "no better than always predicting this class" in finding.message


def test_guesses_a_wrong_normalization_and_numbering(
    case: Make, here: Path, pieces: Path, truth: ImageSet
) -> None:
    """Use a model that recognizes each class by the distance to its mean image, for images in [-1, 1]."""
    means = torch.stack([truth.images[truth.labels == label].mean(0).flatten() for label in range(3)]) * 2 - 1
    state = {"1.weight": 2 * means, "1.bias": -means.square().sum(1)}
    save_file(state, here / "a.safetensors")
    save_file({name: value * 0.99 for name, value in state.items()}, here / "b.safetensors")
    (here / "own_nets.py").write_text(
        "from torch import nn\ndef nearest(classes=3): return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))\n"
    )
    keys: dict[str, Any] = {
        "original": "a.safetensors",
        "unlearned": "b.safetensors",
        "model": "own_nets:nearest",
    }
    scaled = {"mean": [0.5], "std": [0.5]}
    assert "classifies 100.0%" in sentences(examined(case(**keys, **scaled), here), Level.OK)
    unscaled = sentences(examined(case(**keys), here), Level.WARNING)
    assert "set --mean 0." in unscaled
    renamed = case(**keys, **scaled, class_names=["class2", "class0", "class1"])
    assert "another numbering of the classes it would be 100.0%" in sentences(
        examined(renamed, here), Level.WARNING
    )


class InAMapping(nn.Module):
    """A network that returns its logits in a mapping, and tells bright from dark images in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([-1.0, 1.0]))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.scale * images.flatten(1).mean(1, keepdim=True)}


def test_scalings_are_tried_on_a_network_that_returns_a_mapping() -> None:
    labels = torch.arange(8) % 2
    bright = 0.25 + 0.5 * labels.float()
    images = ImageSet("toy", bright[:, None, None, None].expand(8, 1, 2, 2), labels, 2)
    model = with_logits(InAMapping().eval(), images.inputs)
    (finding,) = check_accuracy(model, images, "cpu")
    assert finding.subject == "normalization"
    assert "classifies 50.0% of 8" in finding.message
    assert "With images in [-1, 1] it would be 100.0%" in finding.message
