"""Reconstructions beside their originals: every score of every image, and their means."""

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
"""Scores of a whole attack by name, ready for JSON."""


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
    """Learned perceptual distance, `[n]` float64, or `[0]` where it can't be had."""
    right_rank: Tensor
    """Place of the right original among all of them by distance, `[n]` int64, 1 is first."""
    lpips_reason: str
    """Why LPIPS is absent; empty where it is there."""
    further: Parameters = field(default_factory=dict, kw_only=True)
    """Metrics that were asked for besides, each `[n]` float64, by name."""

    def aggregates(self) -> Aggregates:
        """The means, both conventions of PSNR, and how often the right original is the nearest.

        Returns:
            `mse`, `psnr` (mean over images), `psnr_of_mean_mse`, `ssim`, `lpips` (none where absent, and then
            `lpips_reason`), `identification_top1`, `identification_top5`, `count`.
        """
        means: Aggregates = {name: float(values.mean()) for name, values in self.columns().items()}
        means["psnr_of_mean_mse"] = float(psnr(self.mse.mean()))
        means["count"] = len(self.mse)
        if self.lpips_reason:
            means |= {"lpips": None, "lpips_reason": self.lpips_reason}
        return means

    def columns(self) -> dict[str, Tensor]:
        """The scores whose means are reported, each `[n]` float64; LPIPS is left out where it is absent."""
        columns = {"mse": self.mse, "psnr": self.psnr, "ssim": self.ssim, "lpips": self.lpips}
        if self.lpips_reason:
            del columns["lpips"]
        columns |= self.further
        for guesses in (1, 5):
            columns[f"identification_top{guesses}"] = (self.right_rank <= guesses).double()
        return columns

    def per_image(self) -> dict[str, Tensor]:
        """Each image's scores, as a gallery shows and sorts them: the rank stands for the identification."""
        shown = {
            name: values for name, values in self.columns().items() if not name.startswith("identification")
        }
        return shown | {"rank": self.right_rank}

    def absent(self) -> dict[str, str]:
        """Why a score is not there, by its name."""
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
        lpips_network: Whose features LPIPS compares.
        metrics: Further metrics, by their names in `METRICS`.

    Raises:
        ConfigurationError: There is no such metric.
        DivergenceError: A metric gave something else than one finite number for each image.
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
        further={name: _measured(name, reconstructions, originals) for name in metrics},
    )


def _measured(name: str, reconstructions: Tensor, originals: Tensor) -> Tensor:
    values = METRICS.get(name)()(reconstructions, originals)
    if values.shape != originals.shape[:1] or not values.isfinite().all():
        raise DivergenceError(
            f"The metric {name!r} gave {list(values.shape)} values, not {len(originals)} finite ones: mend it, or "
            "take it out of scoring.metrics."
        )
    return values.double()
