import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from palimpsest.errors import ModelError
from palimpsest.gradients import gradient_differences
from palimpsest.gradients.additive import read_differences
from palimpsest.gradients.linear_reduction import Additive
from palimpsest.oracles import ModelOracle
from palimpsest.reduction import CountSketch, fit_projection

BUDGET = 2**30


class Unregistered(nn.Linear):
    """A layer without a rule, so that whole vectors are formed."""


def network(seed: int, *, last: type[nn.Linear] = nn.Linear) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), last(64, 3)]
        return nn.Sequential(*layers).double()


def samples(count: int) -> tuple[Tensor, Tensor]:
    images = torch.rand(count, 2, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return images, torch.arange(count) % 3


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@settings(max_examples=20)
@given(
    st.integers(1, 20), st.integers(1, 300), st.sampled_from([nn.Linear, Unregistered]), st.integers(1, 20)
)
def test_layerwise_sketch_equals_the_sketch_of_vectors(
    count: int, size: int, last: type[nn.Linear], rows: int
) -> None:
    before, after = network(0, last=last), network(1, last=last)
    vectors = gradient_differences(before, after, *samples(count))
    sketch = CountSketch.draw(vectors.shape[1], size, generator=generator())
    budget = 4 * 4 * rows * (vectors.shape[1] + size)
    reduced = torch.cat(list(read_differences(before, after, *samples(count), sketch, memory_budget=budget)))
    torch.testing.assert_close(reduced, sketch.transform(vectors), rtol=1e-6, atol=1e-12)
    assert before.training, "the mode is restored"


def test_layerwise_projection_equals_the_projection_of_vectors() -> None:
    before, after = network(0).float(), network(1).float()
    images, labels = samples(30)
    vectors = gradient_differences(before, after, images.float(), labels)
    projection = fit_projection(vectors, generator=generator())
    oracle = ModelOracle(before, after, memory_budget=BUDGET)
    reduced = torch.cat(list(oracle.read(images.float(), labels, projection, min_rows=1)))
    torch.testing.assert_close(reduced, projection.transform(vectors), rtol=1e-4, atol=1e-5)
    assert isinstance(projection, Additive)


def test_an_unused_layer_contributes_nothing() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.idle, self.last = nn.Linear(5, 7), nn.Linear(72, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.last(images.flatten(1))

    before, after = Idle().double(), Idle().double()
    sketch = CountSketch.draw(261, 50, generator=generator())
    reduced = torch.cat(list(read_differences(before, after, *samples(4), sketch, memory_budget=BUDGET)))
    vectors = gradient_differences(before, after, *samples(4))
    torch.testing.assert_close(reduced, sketch.transform(vectors), rtol=1e-6, atol=1e-12)


def test_rejects_different_models_and_yields_nothing_without_samples() -> None:
    sketch = CountSketch.draw(271, 50, generator=generator())
    with pytest.raises(ModelError, match="The models differ"):
        next(
            read_differences(network(0), nn.Linear(3, 3).double(), *samples(2), sketch, memory_budget=BUDGET)
        )
    assert not list(read_differences(network(0), network(1), *samples(0), sketch, memory_budget=BUDGET))


class MoreRows(nn.Module):
    """A layer gets two rows for each of more than two samples, so that the probe's two samples do not show it."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(72, 3)

    def forward(self, images: Tensor) -> Tensor:
        rows = images.flatten(1)
        return self.last(torch.cat([rows, rows]) if len(rows) > 2 else rows)[: len(rows)].sin()


def test_an_unexpected_number_of_rows_falls_back_to_vectors() -> None:
    before, after = MoreRows().double(), MoreRows().double()
    vectors = gradient_differences(before, after, *samples(7))
    sketch = CountSketch.draw(vectors.shape[1], 20, generator=generator())
    reduced = torch.cat(list(read_differences(before, after, *samples(7), sketch, memory_budget=BUDGET)))
    torch.testing.assert_close(reduced, sketch.transform(vectors), rtol=1e-6, atol=1e-12)
