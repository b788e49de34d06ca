"""Independent component analysis of a linear layer's gradient, with a prior for images."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.attacks.matching.adam import Adam
from palimpsest.attacks.matching.optimizer import Box, Evaluate
from palimpsest.progress import ProgressLine

# Mean of log cosh of a standard normal variable, from which negentropy counts.
_NORMAL = 0.374567


@dataclass(frozen=True)
class Whitened:
    """Mixtures with mean 0, variance 1 and no correlation over the pixels.

    Args:
        mixtures: `[k, n]`.
        transform: Matrix that maps the original mixtures, centered, to `mixtures`, `[k, k]`.
    """

    mixtures: Tensor
    transform: Tensor


def whiten(mixtures: Tensor) -> Whitened:
    """Center and whiten mixtures over their pixels.

    Args:
        mixtures: Independent mixtures of images, `[k, n]` float64 with k < n.

    Returns:
        The whitened mixtures; fewer than k if the centered ones are linearly dependent.
    """
    centered = mixtures - mixtures.mean(dim=1, keepdim=True)
    u, s, _ = torch.linalg.svd(centered, full_matrices=False)
    kept = s > torch.finfo(s.dtype).eps * 1e3 * s.amax()
    transform = (u[:, kept] / s[kept]).T * math.sqrt(mixtures.shape[1])
    return Whitened(transform @ centered, transform)


@dataclass(frozen=True)
class Unmixing:
    """Search for the unmixing matrix, whose rows have length 1 (Kariyappa et al., section 4).

    Args:
        iterations: Steps of Adam.
        learning_rate: Step size of Adam.
        negentropy: Weight of the negentropy of the sources, which is maximized.
        total_variation: Weight of the total variation of the sources as images of variance 1.
        independence: Weight of the penalty on correlated sources.
        temperature: Steepness of that penalty in the absolute cosine of two rows.
        restarts: Number of starts; the first is the identity, the others are random rotations.
    """

    iterations: int
    learning_rate: float
    negentropy: float
    total_variation: float
    independence: float
    temperature: float
    restarts: int

    def run(
        self,
        whitened: Whitened,
        variation: Callable[[Tensor], Tensor],
        generator: Generator,
        line: ProgressLine,
    ) -> tuple[Tensor, float]:
        """Minimize the objective from each start.

        Args:
            whitened: The whitened mixtures.
            variation: Total variation of sources `[p, k, n]`, as a mean over each one's pixels, `[p, k]`.
            generator: Draws the rotations.
            line: Progress line that is advanced after each step.

        Returns:
            The unmixing matrix with the lowest objective, `[k, k]`, and the objective; 1 and 0 for a single source.
        """
        size = len(whitened.mixtures)
        if size == 1:
            line.advance(self.iterations)
            return torch.ones(1, 1, dtype=torch.float64), 0.0
        starts = [torch.eye(size, dtype=torch.float64)]
        for _ in range(self.restarts - 1):
            starts.append(
                torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q
            )
        bounds = torch.tensor(torch.inf, dtype=torch.float64)
        adam = Adam(self.iterations, self.learning_rate)
        evaluate = self.objective_and_gradient(whitened.mixtures, variation)
        found = adam.minimize(evaluate, torch.stack(starts).flatten(1), Box(-bounds, bounds), line)
        best = found.best(self.restarts)
        return _rows(best.points, size)[0], float(best.values)

    def objective_and_gradient(self, mixtures: Tensor, variation: Callable[[Tensor], Tensor]) -> Evaluate:
        """Return a function that evaluates the objective and its gradient for flattened matrices `[p, k * k]`.

        Args:
            mixtures: The whitened mixtures, `[k, n]`.
            variation: Total variation of sources; see `run`.
        """
        size = len(mixtures)

        def objective(points: Tensor) -> Tensor:
            matrices = _rows(points, size)
            sources = matrices @ mixtures
            # log cosh, written so that it does not overflow.
            contrast = (sources.abs() + torch.nn.functional.softplus(-2 * sources.abs()) - math.log(2)).mean(
                dim=2
            )
            cosines = (matrices @ matrices.transpose(1, 2)).abs() * (1 - torch.eye(size, dtype=points.dtype))
            correlated = torch.expm1(self.temperature * cosines).mean(dim=(1, 2))
            return (
                self.total_variation * variation(sources).mean(dim=1)
                + self.independence * correlated
                - self.negentropy * (contrast - _NORMAL).square().mean(dim=1)
            )

        def evaluate(points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
            leaf = points.detach().requires_grad_()
            value = objective(leaf)
            (gradient,) = torch.autograd.grad(value.sum(), leaf)
            return value.detach(), gradient

        return evaluate


def _rows(points: Tensor, size: int) -> Tensor:
    matrices = points.unflatten(1, (size, size))
    return matrices / matrices.norm(dim=2, keepdim=True).clamp_min(1e-12)
