from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.reduction import CountSketch, fit_projection
from palimpsest.reduction.count_sketch import distortion


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70), st.integers(1, 80), st.integers(0, 5))
def test_each_bin_is_the_signed_sum_of_its_coordinates(dimension: int, size: int, seed: int) -> None:
    sketch = CountSketch.draw(dimension, size, generator=generator(seed))
    vectors = torch.randn(3, dimension, generator=generator(seed)).double()
    expected = torch.zeros(3, sketch.size).double()
    for coordinate in range(dimension):
        block, position = divmod(coordinate, sketch.size)
        expected[:, (position + sketch.shifts[block]) % sketch.size] += (
            vectors[:, coordinate] * sketch.signs[coordinate]
        )
    torch.testing.assert_close(sketch.transform(vectors), expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70), st.integers(1, 80), st.integers(1, 70))
def test_ranges_of_columns_add_up_to_the_sketch_and_can_be_subtracted(
    dimension: int, size: int, width: int
) -> None:
    sketch = CountSketch.draw(dimension, size, generator=generator())
    vectors = torch.randn(3, dimension, generator=generator(1)).double()
    result = torch.zeros(3, sketch.components).double()
    for start in range(0, dimension, width):
        sketch.add(result, vectors[:, start : start + width], start=start)
    torch.testing.assert_close(result, sketch(vectors))
    for start in range(0, dimension, width):
        sketch.add(result, vectors[:, start : start + width], start=start, sign=-1)
    torch.testing.assert_close(result, torch.zeros_like(result), rtol=0, atol=1e-12)


def test_the_generator_determines_signs_and_shifts() -> None:
    first, again, other = (CountSketch.draw(501, 50, generator=generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first.signs, again.signs)
    assert torch.equal(first.shifts, again.shifts)
    assert not torch.equal(first.signs, other.signs)
    assert not torch.equal(first.shifts, other.shifts)


def test_a_sketch_stores_one_byte_for_each_coordinate_and_one_shift_for_each_block() -> None:
    sketch = CountSketch.draw(501, 50, generator=generator())
    assert sketch.signs.dtype == torch.int8
    assert sketch.signs.shape == (501,)
    assert sketch.signs.unique().tolist() == [-1, 1]
    assert sketch.shifts.shape == (11,)
    assert 0 <= int(sketch.shifts.min()) <= int(sketch.shifts.max()) < 50


def test_preserves_inner_products_on_average_within_the_bound() -> None:
    x, y = torch.randn(2, 500, generator=generator()).double()
    size, draws = 50, 2000
    found = torch.stack(
        [
            (sketch := CountSketch.draw(500, size, generator=generator(seed))).transform(x[None])[0]
            @ sketch.transform(y[None])[0]
            for seed in range(draws)
        ]
    )
    variance = ((x @ x) * (y @ y) + (x @ y) ** 2) / size
    assert abs(found.mean() - x @ y) < 4 * (variance / draws).sqrt()
    assert found.var() < 1.2 * variance


def test_a_projection_of_sketches_explains_as_much_variance() -> None:
    left = torch.randn(60, 60, generator=generator()) * 0.9 ** torch.arange(60)
    vectors = left @ torch.linalg.qr(torch.randn(20_000, 60, generator=generator())).Q.T
    sketch = CountSketch.draw(20_000, 8_000, generator=generator())
    sketched = sketch.transform(vectors)
    full = fit_projection(vectors, components=10, explained_variance=1.0, generator=generator())
    reduced = fit_projection(sketched, components=10, explained_variance=1.0, generator=generator())
    assert reduced.explained[-1] == pytest.approx(float(full.explained[-1]), rel=0.02)
    assert distortion(vectors, sketched) < 0.05


def test_a_sketch_is_never_longer_than_the_vectors(tmp_path: Path) -> None:
    sketch = CountSketch.draw(7, 100, generator=generator())
    assert sketch.size == 7
    vectors = torch.randn(4, 7, generator=generator())
    assert distortion(vectors, sketch.transform(vectors)) < 1e-6
    sketch.save(tmp_path / "sketch")
    assert torch.equal(CountSketch.load(tmp_path / "sketch").transform(vectors), sketch.transform(vectors))
