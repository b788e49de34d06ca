"""Comparison of layer-by-layer gradients with `vmap(grad)`, in float64."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.func import vmap

from palimpsest.gradients import BatchGradient
from palimpsest.gradients.batched import BatchedGradients
from palimpsest.gradients.dispatch import write_with_vmap
from palimpsest.gradients.layerwise import Layerwise
from palimpsest.storage import Parameters

CLASSES = 3
BATCHES, SAMPLES = 3, 2


def parameters_of(model: nn.Module) -> Parameters:
    """Make another state dict of the model, with all values different."""
    return {
        name: 0.3 * noise(*value.shape, seed=place).abs_().add_(0.2) * (-1) ** place
        if name.endswith("running_mean")
        else 0.2 + 0.3 * noise(*value.shape, seed=place).abs_()
        if name.endswith(("running_var", "weight")) and value.dim() == 1
        else 0.4 * noise(*value.shape, seed=place)
        for place, (name, value) in enumerate(model.state_dict().items())
        if value.is_floating_point()
    }


def assert_batched_equal(model: nn.Module, *shape: int, fast: bool = True) -> None:
    """Assert that gradients, and derivatives of a function of them by images and targets, equal vmap(grad)'s."""
    model.double().eval()
    parameters = parameters_of(model)
    images, targets = noise(BATCHES, SAMPLES, *shape), noise(BATCHES, SAMPLES, CLASSES, seed=1).softmax(2)
    gradient = BatchGradient(model)
    batched = gradient.at(parameters, images[0, 0])
    assert isinstance(batched, BatchedGradients) == fast
    slow = vmap(partial(gradient, parameters))
    torch.testing.assert_close(batched(images, targets), slow(images, targets), rtol=1e-6, atol=1e-10)

    def derivatives(function: object) -> tuple[Tensor, ...]:
        unknowns = images.clone().requires_grad_(), targets.clone().requires_grad_()
        values = function(*unknowns)  # type: ignore[operator]
        return torch.autograd.grad((values.sin() * noise(*values.shape, seed=2)).sum(), unknowns)

    for actual, expected in zip(derivatives(batched), derivatives(slow), strict=True):
        assert float(expected.norm()) > 0
        assert (actual - expected).norm() <= 1e-6 * expected.norm()


def both(model: nn.Module, images: Tensor, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Compute gradients layer by layer, and with vmap(grad)."""
    labels = torch.randint(CLASSES, (len(images),), generator=torch.Generator().manual_seed(seed))
    layerwise = Layerwise(model.eval())
    assert layerwise.supports(images)
    shape = len(images), sum(parameter.numel() for parameter in model.parameters())
    fast, slow = (torch.full(shape, torch.nan, dtype=torch.float64) for _ in range(2))
    layerwise.write(images, labels, fast)
    write_with_vmap(model, images, labels, slow)
    return fast, slow


def assert_equal(fast: Tensor, slow: Tensor) -> None:
    assert ((fast - slow).norm(dim=1) <= 1e-10 * slow.norm(dim=1)).all()
    torch.testing.assert_close(fast, slow, rtol=1e-6, atol=1e-12)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shaken(model: nn.Module) -> nn.Module:
    """Give the model distinct parameters and statistics, in float64."""
    generator = torch.Generator().manual_seed(1)
    model.double().eval()
    with torch.no_grad():
        for value in [*model.parameters(), *model.buffers()]:
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator, dtype=value.dtype) + 0.2)
                value.sub_(0.7 if value.dim() > 1 else 0)
    return model
