from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from tests.support.layer_gradients import CLASSES, noise, shaken
from torch import Tensor, nn

from palimpsest.errors import ModelError
from palimpsest.gradients import parameter_count, trainable_parameters
from palimpsest.gradients.dispatch import write_sample_by_sample
from palimpsest.gradients.linear_reduction import Additive
from palimpsest.gradients.reduced_engine import find_reduced_engine
from palimpsest.reduction import CountSketch, FactoredProjection

LENGTH, WIDTH = 4, 8


class Transformer(nn.Module):
    """Vision transformer in small: a class token, positions, attention, and a scale without a rule."""

    def __init__(self, *, scaled: bool = False) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.ones(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.ones(1, LENGTH + 1, WIDTH))
        self.scale = nn.Parameter(torch.ones(WIDTH), requires_grad=scaled)
        self.patches = nn.Conv1d(3, WIDTH, 2, stride=2)
        self.attention = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True, norm_first=True)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).mT
        tokens = torch.cat([self.token.expand(len(images), -1, -1), tokens], 1) + self.positions
        return self.head(self.attention(tokens * self.scale)[:, 0])


class Function(nn.Module):
    """Two layers, a table and a factor without a rule, which a function combines."""

    def __init__(self, combine: Callable[["Function", Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, CLASSES)
        self.table = nn.Parameter(torch.ones(6, 6))
        self.combine = combine

    def forward(self, rows: Tensor) -> Tensor:
        return self.last(self.combine(self, rows))


def tied() -> nn.Module:
    model = Function(lambda model, rows: model.second(model.first(rows).tanh()))
    model.second.weight = model.first.weight
    return model


IMAGES, ROWS = noise(5, 3, 2 * LENGTH), noise(5, 6)
MODELS: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "token and positions": (Transformer, IMAGES),
    "a parameter without a rule too": (lambda: Transformer(scaled=True), IMAGES),
    "layer used twice": (lambda: Function(lambda model, rows: model.first(model.first(rows).tanh())), ROWS),
    "weight of two layers": (tied, ROWS),
    "table": (lambda: Function(lambda model, rows: model.first(rows) @ model.table), ROWS),
    "unused layer": (lambda: Function(lambda model, rows: model.second(rows)), ROWS),
}


def labels(count: int) -> Tensor:
    return torch.arange(count) % CLASSES


def reductions(model: nn.Module) -> list[Additive]:
    shapes = [parameter.shape for parameter in trainable_parameters(model).values()]
    dimension, generator = parameter_count(model), torch.Generator().manual_seed(0)
    return [
        FactoredProjection.draw(shapes, 5 * len(shapes), generator=generator),
        CountSketch.draw(dimension, 20, generator=generator),
    ]


@pytest.mark.parametrize("name", MODELS)
def test_equals_the_reduction_of_one_backward_per_sample(name: str) -> None:
    build, samples = MODELS[name]
    model = shaken(build())
    flags = [parameter.requires_grad for parameter in model.parameters()]
    gradients = torch.empty(len(samples), parameter_count(model), dtype=torch.float64)
    write_sample_by_sample(model, samples, labels(len(samples)), gradients)
    engine = find_reduced_engine(model, samples, len(samples))
    assert engine is not None
    for reduction in reductions(model):
        expected = reduction(gradients)
        result = torch.ones_like(expected)
        engine.add_to(result, samples, labels(len(samples)), reduction, -1)
        torch.testing.assert_close(result, 1 - expected, rtol=1e-6, atol=1e-9)
    assert [parameter.requires_grad for parameter in model.parameters()] == flags


def test_memory_for_gradients_does_not_grow_with_the_weights() -> None:
    widths = []
    for width in (10, 200):
        model = shaken(nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, CLASSES)))
        engine = find_reduced_engine(model, ROWS, 5)
        assert engine is not None
        factored, count = reductions(model)
        assert engine.width(count) == width * 7
        widths.append(engine.width(factored))
        result = torch.zeros(5, factored.components, dtype=torch.float64)
        engine.add_to(result, ROWS, labels(5), factored, 1)
        assert engine._layerwise._buffer is not None
        assert engine._layerwise._buffer.numel() == 5 * widths[-1]
    assert widths == [10, 200], "only the biases"


def test_parameters_that_are_not_covered_are_computed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = shaken(Transformer(scaled=True))
    engine = find_reduced_engine(model, IMAGES, 5)
    assert engine is not None
    assert engine._remaining is not None
    assert engine._remaining.width == WIDTH


def test_there_is_no_engine_for_layers_without_rules_or_mixed_samples() -> None:
    assert find_reduced_engine(nn.Sequential(nn.PReLU(), nn.Flatten()).eval(), torch.rand(2, 6), 2) is None
    mixing = shaken(Function(lambda model, rows: model.first(rows - rows.mean(0))))
    assert find_reduced_engine(mixing, ROWS, 5) is None


def test_more_rows_than_in_the_probe_are_refused() -> None:
    def repeated(model: Function, rows: Tensor) -> Tensor:
        twice = torch.cat([rows, rows]) if len(rows) > 2 else rows
        return F.tanh(model.first(twice))[: len(rows)]

    model = shaken(Function(repeated))
    model.table.requires_grad_(False)
    engine = find_reduced_engine(model, ROWS, 5)
    assert engine is not None
    factored = reductions(model)[0]
    result = torch.zeros(5, factored.components, dtype=torch.float64)
    with pytest.raises(ModelError, match="10 rows for 5 samples"):
        engine.add_to(result, ROWS, labels(5), factored, 1)
