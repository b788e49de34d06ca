from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from palimpsest.attacks import Batch, Pixels, Problem, Term, make_coordinates, total_variation
from palimpsest.config import ModelConfig
from palimpsest.gradients import BatchGradient
from palimpsest.models import build_model
from palimpsest.storage import Parameters

FREE = Pixels((-torch.inf, torch.inf))


def reference_gradient(network: nn.Module, parameters: Parameters, images: Tensor, targets: Tensor) -> Tensor:
    point = {name: parameters[name].clone().requires_grad_() for name, _ in network.named_parameters()}
    loss = F.cross_entropy(functional_call(network, {**parameters, **point}, (images,)), targets)
    return torch.cat(
        [part.flatten() for part in torch.autograd.grad(loss, list(point.values()), create_graph=True)]
    )


def problem(network: nn.Module, shape: tuple[int, int, int, int], **changes: Any) -> Problem:
    generator = torch.Generator().manual_seed(2)
    parameters = {name: value.detach() for name, value in network.state_dict().items()}
    size = sum(parameter.numel() for parameter in network.parameters())
    observed = torch.randn(2, size, generator=generator, dtype=torch.float64)
    settings: dict[str, Any] = {
        "gradient": BatchGradient(network),
        "terms": [Term(parameters, observed, shape[0])],
        "shape": shape,
        "classes": 4,
        "targets": torch.rand(2, shape[0], 4, generator=generator, dtype=torch.float64).softmax(dim=2),
        "coordinates": FREE,
        "objective": "euclidean",
        "smoothness": 0.3,
        "restarts": 3,
        "chunk": 4,
    }
    return Problem(**(settings | changes))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("objective", ["euclidean", "cosine"])
@pytest.mark.parametrize(
    "architecture", [{"name": "lenet"}, {"name": "convnet", "width": 4}, {"name": "resnet20", "width": 2}]
)
def test_equals_autograd_for_each_row(architecture: dict[str, Any], objective: Any, channels: int) -> None:
    shape = (2, channels, 8, 8)
    network = build_model(ModelConfig(**architecture), shape=shape[1:], classes=4, seed=0).double().eval()
    whole = problem(network, shape, objective=objective)
    points = torch.rand(6, 2 * channels * 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values, gradients = whole.objective_and_gradient()(points, torch.arange(6))
    (term,) = whole.terms
    assert whole.targets is not None
    for row, point in enumerate(points):
        x = point.clone().requires_grad_()
        images = x.view(shape)
        found = reference_gradient(network, term.parameters, images, whole.targets[row // 3])
        observed_gradient = term.observed[row // 3]
        if objective == "euclidean":
            distance = (found - observed_gradient).square().sum() / observed_gradient.square().sum()
        else:
            distance = 1 - F.cosine_similarity(found, observed_gradient, dim=0)
        value = distance + 0.3 * total_variation(images)
        (expected,) = torch.autograd.grad(value, x)
        torch.testing.assert_close(values[row], value.detach())
        torch.testing.assert_close(gradients[row], expected)


def test_rows_select_batches_and_chunks_do_not_change_values(world: Any) -> None:
    network = world().network.double()
    whole, chunked = problem(network, (2, 1, 6, 6)), problem(network, (2, 1, 6, 6), chunk=1)
    points = torch.rand(6, 72, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values, gradients = whole.objective_and_gradient()(points, torch.arange(6))
    rows = torch.tensor([4, 0])
    row_values, row_gradients = chunked.objective_and_gradient()(points[rows], rows)
    torch.testing.assert_close(row_values, values[rows])
    torch.testing.assert_close(row_gradients, gradients[rows])


@pytest.mark.parametrize("steps", [1, 3])
def test_fixed_samples_contribute_to_the_gradient(world: Any, steps: int) -> None:
    network = world().network.double()
    gradient = BatchGradient(network, local_steps=steps, learning_rate=0.05)
    whole = problem(network, (3, 1, 6, 6), gradient=gradient, restarts=1, smoothness=0.0)
    assert whole.targets is not None
    images = torch.rand(2, 3, 1, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (term,) = whole.terms
    fixed = Batch(images[:, :2], whole.targets[:, :2])
    part = problem(
        network,
        (1, 1, 6, 6),
        gradient=gradient,
        restarts=1,
        smoothness=0.0,
        terms=[Term(term.parameters, term.observed, 1, fixed)],
        targets=whole.targets[:, 2:],
    )
    rows = torch.arange(2)
    expected, _ = whole.objective_and_gradient()(whole.unknowns(images), rows)
    found, _ = part.objective_and_gradient()(part.unknowns(images[:, 2:]), rows)
    torch.testing.assert_close(found, expected)


def test_labels_can_be_unknown(world: Any) -> None:
    network = world().network.double()
    known = problem(network, (2, 1, 6, 6))
    unknown = problem(network, (2, 1, 6, 6), targets=None)
    assert known.targets is not None
    images = torch.rand(6, 2, 1, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    logits = known.targets.log().repeat_interleave(3, dim=0)
    points = unknown.unknowns(images, logits)
    torch.testing.assert_close(unknown.labels(points), known.targets.repeat_interleave(3, dim=0))
    torch.testing.assert_close(unknown.images(points), images)
    expected, _ = known.objective_and_gradient()(known.unknowns(images), torch.arange(6))
    found, gradients = unknown.objective_and_gradient()(points, torch.arange(6))
    torch.testing.assert_close(found, expected)
    assert gradients[:, 72:].abs().sum() > 0


def test_only_pixels_are_bounded(world: Any) -> None:
    box = problem(world().network.double(), (2, 1, 6, 6), targets=None, coordinates=Pixels((0.0, 1.0))).box()
    assert box.low.tolist() == [0.0] * 72 + [-torch.inf] * 8
    assert box.high.tolist() == [1.0] * 72 + [torch.inf] * 8


def test_coordinates_do_not_change_the_objective(world: Any) -> None:
    network = world().network.double()
    public = torch.rand(30, 1, 6, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    spectrum = make_coordinates("spectrum", public)
    in_pixels, in_spectrum = (
        problem(network, (2, 1, 6, 6)),
        problem(network, (2, 1, 6, 6), coordinates=spectrum),
    )
    images = torch.rand(6, 2, 1, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected, _ = in_pixels.objective_and_gradient()(in_pixels.unknowns(images), torch.arange(6))
    found, _ = in_spectrum.objective_and_gradient()(
        in_spectrum.unknowns(spectrum.encode(images)), torch.arange(6)
    )
    torch.testing.assert_close(found, expected)
