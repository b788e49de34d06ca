"""Per-sample gradients: ours beside vmap, a plain loop, Opacus, and the batched backward pass that trains a model."""

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
PROMISED = {
    "vmap(grad), at its best": 1.4,
    "a backward pass each": 8.0,
    "Opacus": 2.0,
    "batched backward, at its best": 0.7,
}


def lines(clock: Clock, *, quick: bool) -> list[Line]:
    """Each model beside every rival that can compute its gradients."""
    samples = {"lenet": 256, "convnet": 256, "resnet20": 256, "resnet18": 64}
    names = ["lenet"] if quick else list(samples)
    return [line for name in names for line in _race(name, 32 if quick else samples[name], clock)]


def network(name: str, *, group_norm: bool = False) -> nn.Module:
    """A model for images of 32 x 32 pixels; ResNet-18 is torchvision's."""
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
    """Noise and labels."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, size, size, generator=generator), torch.arange(count) % 10


def ours(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """All samples' gradients, each chunk dropped as it comes."""
    for _ in gradient_chunks(model, images, labels):
        pass


def loop(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """One backward pass for each sample."""
    rows = images.new_empty(len(images), parameter_count(model))
    weights = list(model.parameters())
    for row, image, label in zip(rows, images, labels, strict=True):
        gradients = torch.autograd.grad(F.cross_entropy(model(image[None]), label[None]), weights)
        torch.cat([gradient.flatten() for gradient in gradients], out=row)
    return rows


def _race(name: str, count: int, clock: Clock) -> list[Line]:
    model, (images, labels) = network(name), batch(count)
    few = max(8, count // 8)
    # A loop is as slow for each of few samples as for many.
    rivals = {
        "ours": partial(ours, model, images, labels),
        "vmap(grad), at its best": _at_its_best(partial(_vmap, model, images, labels), count, clock),
        "a backward pass each": partial(loop, model, images[:few], labels[:few]),
        "batched backward, at its best": _at_its_best(partial(_batched, model, images, labels), count, clock),
    }
    seconds = clock.race(rivals)
    seconds["a backward pass each"] *= count / few
    held = PROMISED if name in ("convnet", "resnet20") else {}
    result = lines_of(f"gradients, {name}", seconds, count=count, unit=UNIT, at_least=held)
    return result + _against_opacus(name, images, labels, clock, held)


def _at_its_best(work: Callable[[int], object], count: int, clock: Clock) -> Callable[[], object]:
    """The work with the size of a chunk that is fastest."""
    sizes = [size for size in (16, 32, 64, 128, 256) if size <= max(16, count)]
    work(sizes[0])
    return partial(work, min(sizes, key=lambda size: clock.seconds(partial(work, size))))


def _vmap(model: nn.Module, images: Tensor, labels: Tensor, size: int) -> None:
    for few, targets in zip(images.split(size), labels.split(size), strict=True):
        out = torch.empty(len(few), parameter_count(model))
        write_with_vmap(model, few, targets, out, chunk_rows=size)


def _batched(model: nn.Module, images: Tensor, labels: Tensor, size: int) -> None:
    weights = list(model.parameters())
    for few, targets in zip(images.split(size), labels.split(size), strict=True):
        torch.autograd.grad(F.cross_entropy(model(few), targets), weights)


def _against_opacus(
    name: str, images: Tensor, labels: Tensor, clock: Clock, held: dict[str, float]
) -> list[Line]:
    """Opacus takes no batch normalization: there both compute gradients of the model with group normalization."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from opacus import GradSampleModule
    except ImportError:
        return []
    if name == "resnet18":
        return []
    normalized = any(isinstance(module, nn.BatchNorm2d) for module in network(name).modules())
    plain, model = (network(name, group_norm=normalized) for _ in range(2))
    # In train mode, in which these models compute the same, Opacus sees what goes into a layer.
    wrapped = GradSampleModule(model.train(), loss_reduction="sum")

    def opacus() -> None:
        for few, targets in zip(images.split(32), labels.split(32), strict=True):
            wrapped.zero_grad()
            F.cross_entropy(wrapped(few), targets, reduction="sum").backward()
            samples = [parameter.grad_sample for parameter in model.parameters()]
            torch.cat([sample.flatten(1) for sample in samples], dim=1)

    task = f"gradients, {name}" + (" with group norm" if normalized else "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = clock.race({"ours": partial(ours, plain, images, labels), "Opacus": opacus})
    return lines_of(task, seconds, count=len(images), unit=UNIT, at_least=held)


def _with_group_norm(model: nn.Module) -> nn.Module:
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.GroupNorm(8, child.num_features))
    return model
