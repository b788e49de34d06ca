"""Reconstructions moved to where they agree with the proof, along the inverter's own errors.

An inversion network's image is near the truth, and its gradient would not be the proof's: the last layer's inputs that
the proof holds are others than the image's. How the inputs h follow from an image a surrogate tells, and in which
directions the inverter errs the attacker's own queries do. The most likely image is sought: with x_0 the inverter's, e
its mean error and B diag(s) the principal directions of its errors,

    minimise over u:  |u|^2 + |h(x_0 + e + B diag(s) u) - h|^2 / (noise x scale)^2.

In pixels, without the errors' covariance, the same search lowers every term and raises the error. Where it ends depends
on its start, by the network's switches: what the ends of several have in common is nearer to the truth than each.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.learned.precision import Precision, laid_out, products
from palimpsest.attacks.learned.surrogate import Surrogate
from palimpsest.progress import progress_line
from palimpsest.reduction import Projection
from palimpsest.storage import Parameters, Record

_TOGETHER = 128
_RATE, _MOMENTS, _RISE = 0.7, (0.9, 0.99), 0.1


@dataclass(frozen=True)
class Consistency(Record):
    """What the search needs.

    Args:
        surrogate: Weights of a `Surrogate`.
        widths: Channels of its convolutions but the last.
        errors: Principal directions of the inverter's errors: what is missing in its images of the attacker's queries.
        count: How many errors they were found in.
        scale: Standard deviation of the last layer's inputs, their mean.
        largest: The largest input that a query had; a proof of another making may hold anything.
        noise: How far an input may lie from the surrogate's, as a share of `scale`.
        starts: The coordinates u that searches start from, `[starts, directions]`; their images are averaged.
    """

    surrogate: Parameters
    widths: tuple[int, ...]
    errors: Projection
    count: int
    scale: float
    largest: float
    noise: float
    starts: Tensor

    def correct(
        self,
        surrogate: Surrogate,
        images: Tensor,
        inputs: Tensor,
        *,
        steps: int,
        precision: Precision,
        device: str,
    ) -> Tensor:
        """Move images to where their inputs are those that were found.

        Args:
            surrogate: A network that the weights fit.
            images: The inverter's, `[n, channels, height, width]`.
            inputs: What the proofs hold of both models' last layers' inputs, `[n, 2 x width]`.
            steps: Adam's, in coordinates in which the prior is a unit ball.
            precision: Number format of the surrogate's products.
            device: Where.

        Returns:
            Images in [0, 1], on the CPU.
        """
        surrogate.load_state_dict(self.surrogate)
        laid_out(surrogate).to(device).eval().requires_grad_(False)
        spread = self.errors.singular_values / max(1, self.count - 1) ** 0.5
        directions = (self.errors.basis * spread).T.contiguous().to(device)
        means = (images.flatten(1) + self.errors.mean).to(device)
        wanted = inputs.clamp(0, self.largest).to(device)

        def search(mean: Tensor, target: Tensor, start: Tensor) -> Tensor:
            def place(moves: Tensor) -> Tensor:
                return torch.addmm(mean, moves, directions)

            moves = start.to(device).repeat(len(mean), 1).requires_grad_()
            optimizer = torch.optim.Adam([moves], lr=_RATE, betas=_MOMENTS)
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, _RATE, total_steps=steps + 1, pct_start=_RISE
            )
            for _ in range(steps):
                with products(precision, device):
                    found = surrogate(place(moves).view(-1, *images.shape[1:]))
                misses = (found.float() - target) / (self.noise * self.scale)
                loss = moves.square().sum() + misses.square().sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            return place(moves).detach()

        moved = torch.empty_like(means)
        with progress_line("match the proofs' inputs", len(images)) as line:
            for rows in torch.arange(len(images)).split(_TOGETHER):
                ends = [search(means[rows], wanted[rows], start) for start in self.starts]
                moved[rows] = torch.stack(ends).mean(0)
                line.advance(len(rows))
        return moved.clamp(0, 1).view_as(images).cpu()
