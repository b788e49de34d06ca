"""The score of an attack: how close, how certain, and how much better than knowing nothing."""

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
    """Scores of an attack, their uncertainty, and what trivial answers score on the same images."""

    baselines: dict[str, Aggregates]
    """Aggregates of `mean_image` (the mean auxiliary image for everything) and of `nearest_auxiliary` (an
    oracle: the auxiliary image nearest to each original)."""

    def reconstruction(self) -> Aggregates:
        """The attack's aggregates; see `Comparison.aggregates`."""
        return self.aggregates()

    def meanings(self) -> dict[str, dict[str, str]]:
        """How the further metrics are called and read: `label`, `meaning` and `better`, by name."""
        kinds = {name: METRICS.get(name) for name in self.further}
        return {
            name: {"label": kind.label, "meaning": kind.meaning, "better": kind.better}
            for name, kind in kinds.items()
        }

    def chance(self) -> dict[str, float]:
        """What guessing at random among the n originals scores: 1/n and 5/n."""
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
    """Compare reconstructions with the forgotten images, and with what trivial answers would have scored.

    Args:
        reconstructions: `[n, c, h, w]` in the originals' order; values outside [0, 1] are clamped, as is
            usual.
        originals: The n forgotten images.
        auxiliary: The attacker's own images, of the same shape.
        lpips_network: Whose features LPIPS compares; where they can't be had, LPIPS is absent and a reason
            given.
        metrics: Further metrics, by their names in `METRICS`.
        bootstrap: Resamples behind each interval.
        generator: Where the resamples come from.

    Raises:
        DatasetError: There is nothing to compare, or the shapes differ.
        DivergenceError: A reconstruction holds a value that is not finite.
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
    trivial = {
        "mean_image": mean_image(auxiliary.images, len(originals)),
        "nearest_auxiliary": nearest_images(truth, auxiliary.images),
    }
    return Scores(
        **vars(attack),
        baselines={
            name: compare(answer, truth, lpips_network=lpips_network, metrics=metrics).aggregates()
            for name, answer in trivial.items()
        },
    )


def _check(reconstructions: Tensor, originals: ImageSet, auxiliary: ImageSet) -> None:
    if len(originals) == 0 or len(auxiliary) == 0:
        raise DatasetError(
            f"There are {len(originals)} forgotten and {len(auxiliary)} auxiliary images: "
            "scoring needs some of both."
        )
    expected = (len(originals), *originals.shape)
    if tuple(reconstructions.shape) != expected:
        raise DatasetError(
            f"The reconstructions have shape {tuple(reconstructions.shape)}, and the originals "
            f"{expected}: give one reconstruction for each original."
        )
    if auxiliary.shape != originals.shape:
        raise DatasetError(
            f"The auxiliary images have shape {auxiliary.shape}, and the originals {originals.shape}: "
            "scale both with data.image_size."
        )
    finite = reconstructions.isfinite().flatten(1).all(dim=1)
    if not finite.all():
        rows = finite.logical_not().nonzero().flatten()
        raise DivergenceError(
            f"{len(rows)} of {len(finite)} reconstructions hold values that are not finite, the first is "
            f"number {int(rows[0])}: lower the attack's learning rate."
        )
