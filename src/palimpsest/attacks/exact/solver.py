"""Solution of proofs: descent through the layers, learned start, Gauss-Newton steps, and descent from there."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Generator, Tensor

from palimpsest.attacks.exact.chain import relative
from palimpsest.attacks.exact.descent import Descent, descend
from palimpsest.attacks.exact.gauss_newton import SCHEDULE, Refinement, refine_images
from palimpsest.attacks.exact.priors import bounds
from palimpsest.attacks.exact.solve_block import Annealing, Prior, solve_block
from palimpsest.attacks.exact.state import ExactState

# After a refinement, the prior of a block is tighter, and little noise is left to anneal.
_AGAIN = (Annealing(rounds=20, decay=0.8, caution=0.7),)
_REFINED_ERROR = 0.3
# A second refinement of an image starts from smaller errors.
_LATER = 10
_LEVELS = 255


@dataclass(frozen=True)
class Solutions:
    """Images, and the errors of the equations.

    Args:
        images: Images `[n, c, h, w]` float32 in [0, 1].
        descent: The solved layers.
        proof_residuals: Relative error of the whole proof, `[n]`; infinite if the chain does not begin at the image.
    """

    images: Tensor
    descent: Descent
    proof_residuals: Tensor


@dataclass(frozen=True)
class Solver:
    """Solves proofs with the trained state.

    Args:
        state: Models, starts, priors, and thresholds.
        rounds: Rounds of Gauss-Newton; 0 skips them.
        device: Device of the learned starts.
    """

    state: ExactState
    rounds: int
    device: str

    def solve(self, proofs: Tensor) -> Solutions:
        """Solve a batch of proofs `[n, d]`."""
        state = self.state
        descent = descend(state.chain, proofs, self._prior, state.thresholds)
        images = torch.zeros(len(proofs), *state.starts[0].shape)
        generator = torch.Generator().manual_seed(state.seed)
        levels = self._levels(descent)
        for level in levels.unique().tolist():
            rows = (levels == level).nonzero().flatten()
            images[rows] = self._start_images(descent, level, rows)
            if level and self._refines:
                images[rows] = self._refine(descent, rows, images[rows], proofs, generator)
        return self._choose_rounded(images, descent, proofs)

    @property
    def _refines(self) -> bool:
        if not self.rounds or not self.state.errors:
            return False
        # A first linear layer, whose input is the image as a vector, is solved in closed form or not at all.
        return tuple(self.state.chain.blocks[0].inputs) == tuple(self.state.starts[0].shape)

    @cached_property
    def _precisions(self) -> list[Tensor]:
        return [errors.precision() for errors in self.state.errors]

    def _start_images(self, descent: Descent, level: int, rows: Tensor) -> Tensor:
        """Return the solved images, or the images of the start that uses most of what is solved."""
        chain = self.state.chain
        if level == 0 and not chain.limit:
            found = descent.features[0][rows]
            # The inputs of a first linear layer are solved as a vector.
            return chain.to_images(found.reshape(*found.shape[:2], *self.state.starts[0].shape)).float()
        start = self.state.starts[self.state.start_at(level)]
        return start.images(descent.features[start.features.level][rows], device=self.device)

    def _prior(self, level: int, rows: Tensor, descent: Descent) -> Prior:
        """Return the prior of a block's inputs, around the images of the start that knows its outputs."""
        images = self._start_images(descent, level + 1, rows)
        return self.state.priors[level].around(self.state.chain, images)

    def _refine(
        self, descent: Descent, rows: Tensor, images: Tensor, proofs: Tensor, generator: Generator
    ) -> Tensor:
        """Refine images with the outputs of the last certified layer, and try to solve further layers from there."""
        images, schedule = images.clone(), SCHEDULE[: self.rounds]
        waiting = torch.arange(len(rows))
        while len(waiting):
            levels = self._levels(descent)[rows[waiting]]
            for level in levels.unique().tolist():
                chosen = waiting[levels == level]
                if level:
                    arguments = descent, level, rows[chosen]
                    images[chosen] = self._gauss_newton(
                        *arguments, images[chosen], proofs, schedule=schedule, generator=generator
                    )
                    self._descend_again(*arguments, images[chosen], proofs)
                else:
                    images[chosen] = self._start_images(descent, 0, rows[chosen])
            # Images for which no further layer was solved are finished.
            waiting = waiting[self._levels(descent)[rows[waiting]] < levels]
            schedule = schedule[_LATER:]
        return images

    def _levels(self, descent: Descent) -> Tensor:
        """Return the first block whose inputs are certified, `[n]`; the number of blocks if none is."""
        return descent.level(self.state.thresholds).clamp(max=len(self.state.chain.blocks))

    def _gauss_newton(
        self,
        descent: Descent,
        level: int,
        rows: Tensor,
        images: Tensor,
        proofs: Tensor,
        *,
        schedule: tuple[float, ...],
        generator: Generator,
    ) -> Tensor:
        """Refine images whose inputs of block `level` are solved."""
        chain, index = self.state.chain, self.state.start_at(level)
        parts, errors = chain.rows(proofs), self.state.errors[index]
        known = descent.known(chain, level - 1, rows, parts[level - 1])
        misfit = self._misfit(descent, level, rows, images)
        low, high = bounds(chain, 0)
        std = chain.std.float()
        pixels = std.view(-1, 1, 1).expand(images.shape[1:]).flatten()
        refinement = Refinement(
            chain.normalize(images).float(),
            self._precisions[index] * pixels * pixels.unsqueeze(1),
            errors.samples.float() / std.view(-1, 1, 1),
            errors.scale(misfit).float(),
            low,
            high,
        )
        lower = [part[rows] for part in parts[: level - 1]]
        refined = refine_images(
            known, chain.blocks[: level - 1], lower, refinement, schedule, generator=generator
        )
        found = chain.to_images(refined).float()
        # A step too far shows in the features, which the attacker can compare.
        better = self._misfit(descent, level, rows, found) < misfit
        return torch.where(better.view(-1, 1, 1, 1), found, images)

    def _misfit(self, descent: Descent, level: int, rows: Tensor, images: Tensor) -> Tensor:
        """Compute the squared distance of the images' inputs of block `level` from the solved ones, `[n]`."""
        inputs = self.state.chain.levels(self.state.chain.normalize(images))[level]
        return (inputs.flatten(1) - descent.features[level][rows].flatten(1)).square().sum(1)

    def _descend_again(
        self, descent: Descent, level: int, rows: Tensor, images: Tensor, proofs: Tensor
    ) -> None:
        """Try to solve block `level - 1` from refined images."""
        chain = self.state.chain
        prior = self.state.priors[level - 1].around(chain, images)
        prior = replace(
            prior, variance=prior.variance * _REFINED_ERROR**2, noise=prior.noise * _REFINED_ERROR
        )
        known = descent.known(chain, level - 1, rows, chain.rows(proofs)[level - 1])
        descent.store(chain, level - 1, rows, solve_block(known, prior, _AGAIN))

    def _choose_rounded(self, images: Tensor, descent: Descent, proofs: Tensor) -> Solutions:
        """Round the images to 8 bits where that explains the whole proof better."""
        residuals = self._proof_residuals(images, descent, proofs)
        rounded = (images * _LEVELS).round() / _LEVELS
        rounded_residuals = self._proof_residuals(rounded, descent, proofs)
        better = rounded_residuals < residuals
        images = torch.where(better.view(-1, 1, 1, 1), rounded, images)
        return Solutions(images, descent, residuals.minimum(rounded_residuals))

    def _proof_residuals(self, images: Tensor, descent: Descent, proofs: Tensor) -> Tensor:
        """Compute the relative error of the whole proof, `[n]`; infinite if the chain does not begin at the image."""
        chain = self.state.chain
        if chain.limit:
            return torch.full((len(images),), torch.inf, dtype=torch.float64)
        parts = chain.proofs(chain.normalize(images), descent.labels), chain.rows(proofs)
        explained, wanted = (torch.cat([part.flatten(1) for part in both], 1) for both in parts)
        return relative(explained - wanted, wanted)
