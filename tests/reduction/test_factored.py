import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from palimpsest.errors import ConfigurationError
from palimpsest.reduction import FactoredProjection
from palimpsest.reduction.factored import FactoredBlock

SHAPES = [(6, 3, 2, 2), (6,), (1, 5, 4), (8, 7), (1,), (1, 1, 9)]
DIMENSION = sum(map(math.prod, SHAPES))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def identity(size: int, matrix: Tensor | None) -> Tensor:
    return torch.eye(size) if matrix is None else matrix


@settings(max_examples=20)
@given(st.integers(len(SHAPES), DIMENSION), st.integers(0, 5))
def test_each_block_is_a_kronecker_product(size: int, seed: int) -> None:
    projection = FactoredProjection.draw(SHAPES, size, generator=generator(seed))
    vectors = torch.randn(3, DIMENSION, generator=generator(seed))
    expected = []
    for block, part in zip(projection.blocks, vectors.split(list(map(math.prod, SHAPES)), 1), strict=True):
        rows, columns = block.shape
        outputs, inputs = identity(rows, block.outputs), identity(columns, block.inputs)
        dense = torch.einsum("ir,js->ijrs", outputs, inputs).reshape(rows * columns, -1)
        expected.append(part @ dense)
    reduced = projection.transform(vectors)
    torch.testing.assert_close(reduced, torch.cat(expected, 1), rtol=1e-4, atol=1e-5)
    assert reduced.shape == (3, projection.components)
    assert projection.components <= size


@settings(max_examples=20)
@given(st.integers(len(SHAPES), 60), st.integers(1, DIMENSION))
def test_ranges_of_columns_add_up_to_the_projection_and_can_be_subtracted(size: int, width: int) -> None:
    projection = FactoredProjection.draw(SHAPES, size, generator=generator())
    vectors = torch.randn(3, DIMENSION, generator=generator(1)).double()
    result = torch.zeros(3, projection.components).double()
    for start in range(0, DIMENSION, width):
        projection.add(result, vectors[:, start : start + width], start=start)
    torch.testing.assert_close(result, projection(vectors))
    for start in range(0, DIMENSION, width):
        projection.add(result, vectors[:, start : start + width], start=start, sign=-1)
    torch.testing.assert_close(result, torch.zeros_like(result), rtol=0, atol=1e-12)


def test_preserves_inner_products_on_average() -> None:
    x, y = torch.randn(2, DIMENSION, generator=generator()).double()
    y += x / 2
    draws = [FactoredProjection.draw(SHAPES, 30, generator=generator(seed)) for seed in range(1500)]
    found = torch.stack([torch.dot(*draw.transform(torch.stack([x, y]))) for draw in draws])
    error = found.std() / len(found) ** 0.5
    assert abs(found.mean() - x @ y) < 4 * error
    # The test would notice a scale that is wrong by a tenth.
    assert error < 0.02 * x @ y


def test_small_parameters_are_kept_and_the_others_share_the_rest_equally() -> None:
    projection = FactoredProjection.draw([(4,), (100,), (50, 40), (2,)], 70, generator=generator())
    sizes = [math.prod(block.projected_shape) for block in projection.blocks]
    assert sizes[0] == 4
    assert sizes[3] == 2
    assert sizes[1] == 32
    assert 25 <= sizes[2] <= 32
    vectors = torch.randn(2, 2106, generator=generator())
    assert torch.equal(projection.transform(vectors)[:, :4], vectors[:, :4])
    assert projection.factors(0, (1, 4)) is None
    outputs, inputs = projection.factors(104, (50, 40)) or (None, None)
    assert outputs is not None
    assert inputs is not None
    assert (outputs.shape[1], inputs.shape[1]) == projection.blocks[2].projected_shape


def test_matrices_are_for_the_parameter_at_its_place_only() -> None:
    projection = FactoredProjection.draw(SHAPES, 40, generator=generator())
    assert projection.factors(0, (6, 12)) is not None
    assert projection.factors(1, (6, 12)) is None
    assert projection.factors(0, (12, 6)) is None
    # One output and a kernel: folded to another matrix than a rule would expect.
    assert projection.factors(78, (1, 20)) is None


def test_projected_gradients_are_added_at_their_place() -> None:
    projection = FactoredProjection.draw(SHAPES, 40, generator=generator())
    vectors = torch.randn(3, DIMENSION, generator=generator())
    gradients = vectors[:, 98:154].view(3, 8, 7)
    outputs, inputs = projection.factors(98, (8, 7)) or (None, None)
    assert outputs is not None
    assert inputs is not None
    result = torch.zeros(3, projection.components)
    projection.add_projected(result, outputs.T @ gradients @ inputs, start=98)
    only = torch.zeros_like(vectors)
    only[:, 98:154] = vectors[:, 98:154]
    torch.testing.assert_close(result, projection.transform(only))


def test_a_long_row_is_folded_and_filled_up() -> None:
    block = FactoredBlock.draw(0, (20_011,), 64, generator=generator())
    rows, columns = block.shape
    assert rows * columns >= 20_011
    assert block.outputs is not None
    assert block.inputs is not None
    assert block.outputs.numel() + block.inputs.numel() < 4000
    found = block.project(torch.randn(2, 20_011, generator=generator()))
    assert found.shape == (2, 64)
    assert 0.3 < found.square().sum() / (2 * 20_011) < 3


def test_too_few_numbers_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 6"):
        FactoredProjection.draw(SHAPES, 5, generator=generator())


def test_the_generator_determines_the_projection_and_a_stored_one_is_the_same(tmp_path: Path) -> None:
    vectors = torch.randn(3, DIMENSION, generator=generator())
    first, again, other = (
        FactoredProjection.draw(SHAPES, 30, generator=generator(seed)).transform(vectors)
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    projection = FactoredProjection.draw(SHAPES, 30, generator=generator())
    projection.save(tmp_path / "projection")
    assert torch.equal(FactoredProjection.load(tmp_path / "projection").transform(vectors), first)
