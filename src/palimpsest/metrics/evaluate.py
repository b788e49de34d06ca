"""Evaluation of an attack on images: scores, bootstrap intervals, baselines and chance levels."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.datasets import ImageSet
from palimpsest.errors import DatasetError, DivergenceError
from palimpsest.metrics.baselines import mean_image, nearest_images
from palimpsest.metrics.comparison import Aggregates, compare
from palimpsest.metrics.measured import Measured, measure
from palimpsest.metrics.perceptual import Network
from palimpsest.registry import METRICS


@dataclass(frozen=True)
class Scores(Measured):
    """Scores of an attack with their intervals, and the scores of baselines on the same images."""

    baselines: dict[str, Aggregates]
    """Aggregates of `mean_image` (the mean auxiliary image for every sample) and of `nearest_auxiliary` (the auxiliary
    image nearest to each original, which no attacker can choose)."""

    def reconstruction(self) -> Aggregates:
        """Return the attack's aggregates; see `Comparison.aggregates`."""
        return self.aggregates()

    def meanings(self) -> dict[str, dict[str, str]]:
        """Return `label`, `meaning` and `better` of each additional metric, by name."""
        kinds = {name: METRICS.get(name) for name in self.further}
        return {
            name: {"label": kind.label, "meaning": kind.meaning, "better": kind.better}
            for name, kind in kinds.items()
        }

    def chance(self) -> dict[str, float]:
        """Return the expected score of a random guess among the n originals: 1/n and 5/n."""
        count = len(self.mse)
        return {f"identification_top{guesses}": min(1.0, guesses / count) for guesses in (1, 5)}


@torch.no_grad()
def evaluate(
    reconstructions: Tensor,
    originals: ImageSet,
    auxiliary: ImageSet,
    *,
    lpips_network: Network = "alex",
    metrics: Sequence[str] = (),
    bootstrap: int = 1000,
    generator: Generator,
) -> Scores:
    """Score reconstructions against the forgotten images, next to the baselines.

    Args:
        reconstructions: `[n, c, h, w]` in the order of the originals; values outside [0, 1] are clamped.
        originals: The n forgotten images.
        auxiliary: The attacker's own images, of the same shape.
        lpips_network: Network whose features LPIPS compares. If its weights are missing, LPIPS is left out and the
            reason is recorded.
        metrics: Names of additional metrics in `METRICS`.
        bootstrap: Number of bootstrap resamples of each interval.
        generator: Source of the resamples.

    Returns:
        Scores, 95 % intervals and baselines.

    Raises:
        ConfigurationError: A metric is unknown.
        DatasetError: There are no images to compare, or the shapes differ.
        DivergenceError: A reconstruction contains NaN or infinity, or a metric did not return one finite number for
            each image.
    """
    truth = originals.images
    _check(reconstructions, originals, auxiliary)
    images = reconstructions.to(truth).clamp(0, 1)
    attack = measure(
        images,
        truth,
        lpips_network=lpips_network,
        metrics=metrics,
        bootstrap=bootstrap,
        generator=generator,
    )
    baselines = {
        "mean_image": mean_image(auxiliary.images, len(originals)),
        "nearest_auxiliary": nearest_images(truth, auxiliary.images),
    }
    return Scores(
        **vars(attack),
        baselines={
            name: compare(answer, truth, lpips_network=lpips_network, metrics=metrics).aggregates()
            for name, answer in baselines.items()
        },
    )


def _check(reconstructions: Tensor, originals: ImageSet, auxiliary: ImageSet) -> None:
    if len(originals) == 0 or len(auxiliary) == 0:
        raise DatasetError(
            f"There are {len(originals)} forgotten and {len(auxiliary)} auxiliary images. "
            "Scoring needs at least one of each."
        )
    expected = (len(originals), *originals.shape)
    if tuple(reconstructions.shape) != expected:
        raise DatasetError(
            f"The reconstructions have shape {tuple(reconstructions.shape)}, expected {expected} as the originals. "
            "Pass one reconstruction for each original."
        )
    if auxiliary.shape != originals.shape:
        raise DatasetError(
            f"The auxiliary images have shape {auxiliary.shape}, the originals have shape {originals.shape}. "
            "Scale both with data.image_size."
        )
    finite = reconstructions.isfinite().flatten(1).all(dim=1)
    if not finite.all():
        rows = finite.logical_not().nonzero().flatten()
        raise DivergenceError(
            f"{len(rows)} of {len(finite)} reconstructions contain NaN or infinity; the first is "
            f"number {int(rows[0])}. Lower the attack's learning rate."
        )
