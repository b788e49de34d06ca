"""Benchmark of per-sample gradients against vmap, a backward pass per sample, Opacus, and the batched backward pass."""

import warnings
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.timing import Clock, Line, lines_of
from palimpsest.config import ModelConfig
from palimpsest.gradients import gradient_chunks, parameter_count
from palimpsest.gradients.dispatch import write_with_vmap
from palimpsest.models import build_model

UNIT = "samples/s"
VMAP, PER_SAMPLE, BATCHED = (
    "vmap(grad), best chunk size",
    "backward per sample",
    "batched backward, best chunk size",
)
TARGETS = {VMAP: 1.4, PER_SAMPLE: 8.0, "Opacus": 2.0, BATCHED: 0.7}


def lines(clock: Clock, *, quick: bool) -> list[Line]:
    """Measure each model against every baseline that can compute its gradients.

    Args:
        clock: Clock to measure with.
        quick: Use tiny sizes.
    """
    samples = {"lenet": 256, "convnet": 256, "resnet20": 256, "resnet18": 64}
    names = ["lenet"] if quick else list(samples)
    return [line for name in names for line in _race(name, 32 if quick else samples[name], clock)]


def network(name: str, *, group_norm: bool = False) -> nn.Module:
    """Build a model for images of 32 x 32 pixels.

    Args:
        name: Name of the model; `resnet18` is torchvision's.
        group_norm: Replace batch normalization with group normalization.
    """
    if name == "resnet18":
        from palimpsest.system.torchvision_compat import import_torchvision

        import_torchvision()
        from torchvision.models import resnet18

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return resnet18(num_classes=10).eval()
    model = build_model(ModelConfig(name=name), shape=(3, 32, 32), classes=10, seed=0).eval()
    return _with_group_norm(model) if group_norm else model


def batch(count: int, size: int = 32) -> tuple[Tensor, Tensor]:
    """Make random images `[count, 3, size, size]` and labels `[count]` of ten classes."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, size, size, generator=generator), torch.arange(count) % 10


def ours(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Compute the gradients of all samples, and discard each chunk."""
    for _ in gradient_chunks(model, images, labels):
        pass


def backward_per_sample(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Compute gradients `[n, d]` with one backward pass for each sample."""
    rows = images.new_empty(len(images), parameter_count(model))
    weights = list(model.parameters())
    for row, image, label in zip(rows, images, labels, strict=True):
        gradients = torch.autograd.grad(F.cross_entropy(model(image[None]), label[None]), weights)
        torch.cat([gradient.flatten() for gradient in gradients], out=row)
    return rows


def _race(name: str, count: int, clock: Clock) -> list[Line]:
    model, (images, labels) = network(name), batch(count)
    # The time per sample of separate backward passes does not depend on their number, so measure only an eighth.
    measured = max(8, count // 8)
    candidates = {
        "ours": partial(ours, model, images, labels),
        VMAP: _best_chunk_size(partial(_vmap, model, images, labels), count, clock),
        PER_SAMPLE: partial(backward_per_sample, model, images[:measured], labels[:measured]),
        BATCHED: _best_chunk_size(partial(_batched, model, images, labels), count, clock),
    }
    seconds = clock.race(candidates)
    seconds[PER_SAMPLE] *= count / measured
    targets = TARGETS if name in ("convnet", "resnet20") else {}
    result = lines_of(f"gradients, {name}", seconds, count=count, unit=UNIT, targets=targets)
    return result + _against_opacus(name, images, labels, clock, targets)


def _best_chunk_size(work: Callable[[int], object], count: int, clock: Clock) -> Callable[[], object]:
    """Return the work with its fastest chunk size."""
    sizes = [size for size in (16, 32, 64, 128, 256) if size <= max(16, count)]
    work(sizes[0])
    return partial(work, min(sizes, key=lambda size: clock.seconds(partial(work, size))))


def _vmap(model: nn.Module, images: Tensor, labels: Tensor, size: int) -> None:
    for chunk, targets in zip(images.split(size), labels.split(size), strict=True):
        out = torch.empty(len(chunk), parameter_count(model))
        write_with_vmap(model, chunk, targets, out, chunk_rows=size)


def _batched(model: nn.Module, images: Tensor, labels: Tensor, size: int) -> None:
    weights = list(model.parameters())
    for chunk, targets in zip(images.split(size), labels.split(size), strict=True):
        torch.autograd.grad(F.cross_entropy(model(chunk), targets), weights)


def _against_opacus(
    name: str, images: Tensor, labels: Tensor, clock: Clock, targets: dict[str, float]
) -> list[Line]:
    """Compare with Opacus, on group normalization if the model has batch normalization, which Opacus can't handle."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from opacus import GradSampleModule
    except ImportError:
        return []
    if name == "resnet18":
        return []
    normalized = any(isinstance(module, nn.BatchNorm2d) for module in network(name).modules())
    our_model, model = (network(name, group_norm=normalized) for _ in range(2))
    # Opacus records the layers' inputs in training mode only, in which these models compute the same.
    wrapped = GradSampleModule(model.train(), loss_reduction="sum")

    def opacus() -> None:
        for chunk, classes in zip(images.split(32), labels.split(32), strict=True):
            wrapped.zero_grad()
            F.cross_entropy(wrapped(chunk), classes, reduction="sum").backward()
            samples = [parameter.grad_sample for parameter in model.parameters()]
            torch.cat([sample.flatten(1) for sample in samples], dim=1)

    task = f"gradients, {name}" + (" with group norm" if normalized else "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = clock.race({"ours": partial(ours, our_model, images, labels), "Opacus": opacus})
    return lines_of(task, seconds, count=len(images), unit=UNIT, targets=targets)


def _with_group_norm(model: nn.Module) -> nn.Module:
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.GroupNorm(8, child.num_features))
    return model
