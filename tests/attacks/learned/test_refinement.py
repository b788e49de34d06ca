import pytest
import torch
from torch import Tensor, nn

from palimpsest.attacks.learned.refinement import Refinement
from palimpsest.attacks.learned.surrogate import Surrogate
from palimpsest.reduction import Projection, fit_projection

SHAPE = (1, 4, 4)
STARTS = torch.tensor([[0.0, 0.0, 0.0], [1.0, -0.5, 2.0]])


class Linear(Surrogate):
    """A linear surrogate, for which the most likely image has a closed form."""

    def __init__(self, matrix: Tensor) -> None:
        nn.Module.__init__(self)
        self.matrix = nn.Parameter(matrix)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.matrix.T


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw_images(count: int) -> tuple[Tensor, Tensor, Projection]:
    """Draw true images and an inverter's images, whose errors have three directions, and fit these directions."""
    errors = torch.randn(500, 3, generator=generator(0)) @ torch.randn(3, 16, generator=generator(1)) * 0.03
    images = 0.3 + 0.4 * torch.rand(count, 16, generator=generator(2))
    directions = fit_projection(errors, explained_variance=1.0, components=3, generator=generator(3))
    return images.view(-1, *SHAPE), (images - errors[:count]).view(-1, *SHAPE), directions


def build_refinement(matrix: Tensor, directions: Projection, starts: Tensor = STARTS) -> Refinement:
    return Refinement(
        {"matrix": matrix}, (), directions, count=500, scale=0.5, largest=10.0, noise=0.2, starts=starts
    )


def test_finds_the_most_likely_image() -> None:
    """For a linear surrogate, ridge regression in whitened coordinates gives the posterior mean."""
    truth, reconstructed, directions = draw_images(200)
    matrix = torch.rand(8, 16, generator=generator(4)) / 4
    inputs = truth.flatten(1) @ matrix.T
    refinement = build_refinement(matrix, directions)
    refined = refinement.refine(
        Linear(matrix), reconstructed, inputs, steps=400, precision="float32", device="cpu"
    )

    scaled_basis = directions.basis * directions.singular_values / 499**0.5
    start = reconstructed.flatten(1) + directions.mean
    design = matrix @ scaled_basis / (0.2 * 0.5)
    gaps = (inputs - start @ matrix.T) / (0.2 * 0.5)
    moves = torch.linalg.solve(design.T @ design + torch.eye(3), (gaps @ design).T).T
    torch.testing.assert_close(refined.flatten(1), start + moves @ scaled_basis.T, rtol=0, atol=2e-3)
    before, after = ((images - truth).square().mean() for images in (reconstructed, refined))
    assert after < 0.8 * before


def test_extreme_inputs_give_valid_images() -> None:
    _, reconstructed, directions = draw_images(5)
    matrix = torch.rand(8, 16, generator=generator(4))
    inputs = torch.full((5, 8), 1e12)
    refinement = build_refinement(matrix, directions)
    refined = refinement.refine(
        Linear(matrix), reconstructed, inputs, steps=20, precision="bfloat16", device="cpu"
    )
    assert refined.isfinite().all()
    assert refined.min() >= 0
    assert refined.max() <= 1


@pytest.mark.parametrize("steps", [1, 7])
def test_any_number_of_steps_has_a_schedule(steps: int) -> None:
    truth, reconstructed, directions = draw_images(3)
    matrix = torch.rand(8, 16, generator=generator(4))
    refinement = build_refinement(matrix, directions)
    inputs = truth.flatten(1) @ matrix.T
    refined = refinement.refine(
        Linear(matrix), reconstructed, inputs, steps=steps, precision="float32", device="cpu"
    )
    assert refined.shape == reconstructed.shape


def test_averages_the_results_of_several_searches() -> None:
    """After one step, the results still differ, and each can be computed from its start alone."""
    truth, reconstructed, directions = draw_images(4)
    matrix = torch.rand(8, 16, generator=generator(4))
    inputs = truth.flatten(1) @ matrix.T

    def refine(starts: Tensor) -> Tensor:
        refinement = build_refinement(matrix, directions, starts)
        return refinement.refine(
            Linear(matrix), reconstructed, inputs, steps=1, precision="float32", device="cpu"
        )

    single = [refine(start.unsqueeze(0)) for start in STARTS]
    assert (single[0] - single[1]).abs().max() > 1e-3
    torch.testing.assert_close(refine(STARTS), sum(single, torch.zeros(())) / 2)
