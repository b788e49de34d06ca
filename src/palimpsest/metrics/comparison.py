"""Comparison of reconstructions with their originals: every score of every image, and the means."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from palimpsest.errors import DivergenceError, PalimpsestError
from palimpsest.metrics.identification import right_ranks
from palimpsest.metrics.image_metrics import mean_squared_errors, psnr, ssim
from palimpsest.metrics.perceptual import Network, lpips
from palimpsest.registry import METRICS
from palimpsest.storage import Parameters, Record

Aggregates = dict[str, int | float | str | None]
"""Mean scores of an attack by name, as values that JSON can store."""


@dataclass(frozen=True)
class Comparison(Record):
    """Scores of n reconstructions, in the order of the originals."""

    mse: Tensor
    """Mean squared error, `[n]` float64."""
    psnr: Tensor
    """Peak signal-to-noise ratio in dB, `[n]` float64, at most 100."""
    ssim: Tensor
    """Structural similarity, `[n]` float64."""
    lpips: Tensor
    """Learned perceptual distance, `[n]` float64, or `[0]` if it is unavailable."""
    right_rank: Tensor
    """Rank of the correct original among all originals by distance, `[n]` int64; 1 means nearest."""
    lpips_reason: str
    """Reason why LPIPS is unavailable; empty if it was computed."""
    further: Parameters = field(default_factory=dict, kw_only=True)
    """Additional metrics that were requested, each `[n]` float64, by name."""

    def aggregates(self) -> Aggregates:
        """Return the means, PSNR in both conventions, and the identification rates.

        Returns:
            `mse`, `psnr` (mean over images), `psnr_of_mean_mse`, `ssim`, `lpips` (None if unavailable, together with
            `lpips_reason`), `identification_top1`, `identification_top5` and `count`.
        """
        means: Aggregates = {name: float(values.mean()) for name, values in self.columns().items()}
        means["psnr_of_mean_mse"] = float(psnr(self.mse.mean()))
        means["count"] = len(self.mse)
        if self.lpips_reason:
            means |= {"lpips": None, "lpips_reason": self.lpips_reason}
        return means

    def columns(self) -> dict[str, Tensor]:
        """Return the scores whose means are reported, each `[n]` float64; LPIPS is left out if it is unavailable."""
        columns = {"mse": self.mse, "psnr": self.psnr, "ssim": self.ssim, "lpips": self.lpips}
        if self.lpips_reason:
            del columns["lpips"]
        columns |= self.further
        for guesses in (1, 5):
            columns[f"identification_top{guesses}"] = (self.right_rank <= guesses).double()
        return columns

    def per_image(self) -> dict[str, Tensor]:
        """Return each image's scores for a gallery, with the rank in place of the identification rates."""
        scores = {
            name: values for name, values in self.columns().items() if not name.startswith("identification")
        }
        return scores | {"rank": self.right_rank}

    def absent(self) -> dict[str, str]:
        """Return the reason for each score that is unavailable, by its name."""
        return {"lpips": self.lpips_reason} if self.lpips_reason else {}


def compare(
    reconstructions: Tensor,
    originals: Tensor,
    *,
    lpips_network: Network = "alex",
    metrics: Sequence[str] = (),
) -> Comparison:
    """Score each reconstruction against its original.

    Args:
        reconstructions: `[n, c, h, w]` in [0, 1].
        originals: The same shape and order.
        lpips_network: Network whose features LPIPS compares.
        metrics: Names of additional metrics in `METRICS`.

    Returns:
        The scores of every pair; `lpips` is empty, with a reason, if its weights are missing.

    Raises:
        ConfigurationError: A metric is unknown.
        DivergenceError: A metric did not return one finite number for each image.
    """
    errors = mean_squared_errors(reconstructions, originals)
    try:
        distances, reason = lpips(reconstructions, originals, network=lpips_network), ""
    except PalimpsestError as error:
        distances, reason = torch.empty(0, dtype=torch.float64), str(error)
    return Comparison(
        mse=errors,
        psnr=psnr(errors),
        ssim=ssim(reconstructions, originals),
        lpips=distances,
        right_rank=right_ranks(reconstructions, originals),
        lpips_reason=reason,
        further={name: _score_metric(name, reconstructions, originals) for name in metrics},
    )


def _score_metric(name: str, reconstructions: Tensor, originals: Tensor) -> Tensor:
    values = METRICS.get(name)()(reconstructions, originals)
    if values.shape != originals.shape[:1] or not values.isfinite().all():
        raise DivergenceError(
            f"The metric {name!r} returned values of shape {list(values.shape)}, expected {len(originals)} finite "
            "values. Fix the metric, or remove it from scoring.metrics."
        )
    return values.double()
