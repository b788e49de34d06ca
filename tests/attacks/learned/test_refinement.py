import pytest
import torch
from torch import Tensor, nn

from palimpsest.attacks.learned.refinement import Refinement
from palimpsest.attacks.learned.surrogate import Surrogate
from palimpsest.reduction import Projection, fit_projection

SHAPE = (1, 4, 4)
STARTS = torch.tensor([[0.0, 0.0, 0.0], [1.0, -0.5, 2.0]])


class Linear(Surrogate):
    """A linear surrogate, for which the best image has a formula."""

    def __init__(self, matrix: Tensor) -> None:
        nn.Module.__init__(self)
        self.matrix = nn.Parameter(matrix)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.matrix.T


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(count: int) -> tuple[Tensor, Tensor, Projection]:
    """True images, those of an inverter whose errors lie in few directions, and the directions."""
    errors = torch.randn(500, 3, generator=generator(0)) @ torch.randn(3, 16, generator=generator(1)) * 0.03
    images = 0.3 + 0.4 * torch.rand(count, 16, generator=generator(2))
    directions = fit_projection(errors, explained_variance=1.0, components=3, generator=generator(3))
    return images.view(-1, *SHAPE), (images - errors[:count]).view(-1, *SHAPE), directions


def searching(matrix: Tensor, directions: Projection, starts: Tensor = STARTS) -> Refinement:
    return Refinement(
        {"matrix": matrix}, (), directions, count=500, scale=0.5, largest=10.0, noise=0.2, starts=starts
    )


def test_it_finds_the_most_likely_image() -> None:
    """With a linear surrogate the posterior mean is known (ridge regression in whitened coordinates)."""
    truth, given, directions = drawn(200)
    matrix = torch.rand(8, 16, generator=generator(4)) / 4
    inputs = truth.flatten(1) @ matrix.T
    refinement = searching(matrix, directions)
    found = refinement.refine(Linear(matrix), given, inputs, steps=400, precision="float32", device="cpu")

    spread = directions.basis * directions.singular_values / 499**0.5
    start = given.flatten(1) + directions.mean
    seen = matrix @ spread / (0.2 * 0.5)
    gaps = (inputs - start @ matrix.T) / (0.2 * 0.5)
    moves = torch.linalg.solve(seen.T @ seen + torch.eye(3), (gaps @ seen).T).T
    torch.testing.assert_close(found.flatten(1), start + moves @ spread.T, rtol=0, atol=2e-3)
    before, after = ((one - truth).square().mean() for one in (given, found))
    assert after < 0.8 * before


def test_inputs_of_another_making_end_in_images() -> None:
    _, given, directions = drawn(5)
    matrix = torch.rand(8, 16, generator=generator(4))
    inputs = torch.full((5, 8), 1e12)
    refinement = searching(matrix, directions)
    found = refinement.refine(Linear(matrix), given, inputs, steps=20, precision="bfloat16", device="cpu")
    assert found.isfinite().all()
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("steps", [1, 7])
def test_any_number_of_steps_has_a_schedule(steps: int) -> None:
    truth, given, directions = drawn(3)
    matrix = torch.rand(8, 16, generator=generator(4))
    refinement = searching(matrix, directions)
    inputs = truth.flatten(1) @ matrix.T
    found = refinement.refine(Linear(matrix), given, inputs, steps=steps, precision="float32", device="cpu")
    assert found.shape == given.shape


def test_the_ends_of_several_searches_are_averaged() -> None:
    """After one step each is still near its start, and where they end is known from each alone."""
    truth, given, directions = drawn(4)
    matrix = torch.rand(8, 16, generator=generator(4))
    inputs = truth.flatten(1) @ matrix.T

    def refine(starts: Tensor) -> Tensor:
        refinement = searching(matrix, directions, starts)
        return refinement.refine(Linear(matrix), given, inputs, steps=1, precision="float32", device="cpu")

    apart = [refine(start.unsqueeze(0)) for start in STARTS]
    assert (apart[0] - apart[1]).abs().max() > 1e-3
    torch.testing.assert_close(refine(STARTS), sum(apart, torch.zeros(())) / 2)
