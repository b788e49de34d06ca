"""Refinement of reconstructions, along the directions of the inverter's errors, to agree with the proofs.

An inverter's image is close to the true image, but its gradient differs from the proof: the proof contains other inputs
of the last layer than the image produces. A surrogate h computes these inputs from an image, and the auditor's queries
show the directions in which the inverter errs. The search finds the most likely image. Let x_0 be the inverter's image,
e its mean error, B diag(s) the principal directions of its errors, and h_p the inputs in the proof:

    minimize over u:  |u|^2 + |h(x_0 + e + B diag(s) u) - h_p|^2 / (noise x scale)^2.

A search over pixels, which ignores the covariance of the errors, lowers the objective but increases the distance to the
true image. The surrogate is piecewise linear, so the result of a search depends on its start; the mean over several
starts is closer to the true image than any single result.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.learned.precision import Precision, autocast, use_channels_last
from palimpsest.attacks.learned.surrogate import Surrogate
from palimpsest.progress import progress_line
from palimpsest.reduction import Projection
from palimpsest.storage import Parameters, Record

_BATCH = 128
_RATE, _MOMENTS, _RISE = 0.7, (0.9, 0.99), 0.1


@dataclass(frozen=True)
class Refinement(Record):
    """State of the refinement: surrogate, error directions, and starting points of the search.

    Args:
        surrogate: Weights of a `Surrogate`.
        widths: Channels of the surrogate's convolutions except the last.
        errors: Principal directions of the inverter's errors (true minus reconstructed image) on the auditor's queries.
        count: Number of errors from which the directions were computed.
        scale: Standard deviation of the last layer's inputs, averaged over the inputs.
        largest: Largest input of a query; inputs in a proof are clamped to it.
        noise: Standard deviation of an input around the surrogate's prediction, in units of `scale`, above 0.
        starts: Coordinates u from which searches start, `[starts, directions]`; the resulting images are averaged.
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
        """Adjust images until the surrogate's predictions match the inputs in the proofs.

        Args:
            surrogate: Network of the surrogate's architecture, into which the stored weights are loaded.
            images: The inverter's images, `[n, channels, height, width]`.
            inputs: Inputs of both models' last layers, from the proofs, `[n, 2 x width]`.
            steps: Number of Adam's steps, in coordinates with a standard normal prior.
            precision: Number format of the surrogate's convolutions.
            device: "cpu" or "cuda".

        Returns:
            Images `[n, channels, height, width]` in [0, 1], on the CPU.
        """
        surrogate.load_state_dict(self.surrogate, assign=True)
        use_channels_last(surrogate).to(device).eval().requires_grad_(False)
        deviations = self.errors.singular_values / max(1, self.count - 1) ** 0.5
        directions = (self.errors.basis * deviations).T.contiguous().to(device)
        means = (images.flatten(1) + self.errors.mean).to(device)
        targets = inputs.clamp(0, self.largest).to(device)

        def search(mean: Tensor, target: Tensor, start: Tensor) -> Tensor:
            def to_images(coordinates: Tensor) -> Tensor:
                return torch.addmm(mean, coordinates, directions)

            coordinates = start.to(device).repeat(len(mean), 1).requires_grad_()
            optimizer = torch.optim.Adam([coordinates], lr=_RATE, betas=_MOMENTS)
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, _RATE, total_steps=steps + 1, pct_start=_RISE
            )
            for _ in range(steps):
                with autocast(precision, device):
                    outputs = surrogate(to_images(coordinates).view(-1, *images.shape[1:]))
                mismatch = (outputs.float() - target) / (self.noise * self.scale)
                loss = coordinates.square().sum() + mismatch.square().sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            return to_images(coordinates).detach()

        refined = torch.empty_like(means)
        with progress_line("match the proofs' inputs", len(images)) as line:
            for rows in torch.arange(len(images)).split(_BATCH):
                results = [search(means[rows], targets[rows], start) for start in self.starts]
                refined[rows] = torch.stack(results).mean(0)
                line.advance(len(rows))
        return refined.clamp(0, 1).view_as(images).cpu()
