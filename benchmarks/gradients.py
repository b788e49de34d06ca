"""Per-sample gradients and their reduction, each beside the obvious way."""

import torch
import torch.nn.functional as F
from benchmarks.timing import median_seconds, print_table
from torch import Tensor, nn

from palimpsest.config import ModelConfig
from palimpsest.gradients import fit_projection, per_sample_gradients
from palimpsest.models import build_model

_SAMPLES = 128


def loop(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """One backward pass for each sample."""
    rows = []
    for image, label in zip(images, labels, strict=True):
        gradients = torch.autograd.grad(
            F.cross_entropy(model(image[None]), label[None]), list(model.parameters())
        )
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    return torch.stack(rows)


def batched(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Ordinary training's backward pass, which gives the sum alone: the ceiling."""
    for few, targets in zip(images.split(64), labels.split(64), strict=True):
        torch.autograd.grad(F.cross_entropy(model(few), targets), list(model.parameters()))


def main() -> None:
    """Print samples per second, and seconds of a reduction."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(_SAMPLES, 3, 32, 32, generator=generator)
    labels = torch.randint(10, (_SAMPLES,), generator=generator)
    rows = []
    for name in ("lenet", "convnet", "resnet20"):
        model = build_model(ModelConfig(name=name), shape=(3, 32, 32), classes=10, seed=0).eval()
        ours = _SAMPLES / median_seconds(lambda model=model: per_sample_gradients(model, images, labels))
        plain = _SAMPLES / median_seconds(lambda model=model: loop(model, images, labels), repeats=3)
        ceiling = _SAMPLES / median_seconds(lambda model=model: batched(model, images, labels))
        rows.append([name, ours, plain, ceiling, ours / plain, ours / ceiling])
    header = ["model, 32 x 32", "ours", "loop", "batched", "ours / loop", "ours / batched"]
    print_table("Per-sample gradients, samples a second", header, rows)

    vectors = torch.randn(1000, 20_000, generator=generator) * (0.99 ** torch.arange(20_000))
    ours = median_seconds(lambda: fit_projection(vectors, generator=generator), repeats=3)
    plain = median_seconds(
        lambda: torch.linalg.svd(vectors - vectors.mean(0), full_matrices=False), repeats=3
    )
    print_table(
        "Reduction of 1,000 x 20,000, seconds",
        ["", "ours", "torch.linalg.svd", "ratio"],
        [["95 %", ours, plain, plain / ours]],
    )


if __name__ == "__main__":
    main()
