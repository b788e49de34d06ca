"""Refinement: moves reconstructions, along the inverter's errors, to where they agree with the proofs.

The image of an inversion network is near the truth, but its gradient differs from the proof: the inputs of the last
layer that the proof contains are not those of the image. A surrogate computes these inputs h from an image, and the
attacker's queries show in which directions the inverter errs. The search finds the most likely image: with x_0 the
inverter's image, e its mean error, and B diag(s) the principal directions of its errors,

    minimize over u:  |u|^2 + |h(x_0 + e + B diag(s) u) - h|^2 / (noise x scale)^2.

Without the covariance of the errors, in pixels, the same search lowers every term and raises the error. The end of a
search depends on its start, because the surrogate is piecewise linear: the mean over several starts is nearer to the
truth than each end alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.learned.precision import Precision, laid_out, products
from palimpsest.attacks.learned.surrogate import Surrogate
from palimpsest.progress import progress_line
from palimpsest.reduction import Projection
from palimpsest.storage import Parameters, Record

_BATCH = 128
_RATE, _MOMENTS, _RISE = 0.7, (0.9, 0.99), 0.1


@dataclass(frozen=True)
class Refinement(Record):
    """Surrogate, error directions, and starts of the search.

    Args:
        surrogate: Weights of a `Surrogate`.
        widths: Channels of its convolutions except the last.
        errors: Principal directions of the inverter's errors (true minus reconstructed image) on the attacker's
            queries.
        count: Number of errors from which the directions were computed.
        scale: Standard deviation of the last layer's inputs, averaged over the inputs.
        largest: The largest input of a query; inputs in a proof are clamped to it.
        noise: Standard deviation of an input around the surrogate's answer, in units of `scale`, above 0.
        starts: Coordinates u from which searches start, `[starts, directions]`; their images are averaged.
    """

    surrogate: Parameters
    widths: tuple[int, ...]
    errors: Projection
    count: int
    scale: float
    largest: float
    noise: float
    starts: Tensor

    def refine(
        self,
        surrogate: Surrogate,
        images: Tensor,
        inputs: Tensor,
        *,
        steps: int,
        precision: Precision,
        device: str,
    ) -> Tensor:
        """Move images to where the surrogate computes the inputs that the proofs contain.

        Args:
            surrogate: A network that the weights fit; they replace its own.
            images: The inverter's images, `[n, channels, height, width]`.
            inputs: The inputs of both models' last layers, from the proofs, `[n, 2 x width]`.
            steps: Steps of Adam, in coordinates in which the prior is a unit normal.
            precision: Number format of the surrogate's convolutions.
            device: "cpu" or "cuda".

        Returns:
            Images `[n, channels, height, width]` in [0, 1], on the CPU.
        """
        surrogate.load_state_dict(self.surrogate, assign=True)
        laid_out(surrogate).to(device).eval().requires_grad_(False)
        spread = self.errors.singular_values / max(1, self.count - 1) ** 0.5
        directions = (self.errors.basis * spread).T.contiguous().to(device)
        means = (images.flatten(1) + self.errors.mean).to(device)
        targets = inputs.clamp(0, self.largest).to(device)

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
                    outputs = surrogate(place(moves).view(-1, *images.shape[1:]))
                misses = (outputs.float() - target) / (self.noise * self.scale)
                loss = moves.square().sum() + misses.square().sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            return place(moves).detach()

        refined = torch.empty_like(means)
        with progress_line("match the proofs' inputs", len(images)) as line:
            for rows in torch.arange(len(images)).split(_BATCH):
                ends = [search(means[rows], targets[rows], start) for start in self.starts]
                refined[rows] = torch.stack(ends).mean(0)
                line.advance(len(rows))
        return refined.clamp(0, 1).view_as(images).cpu()
