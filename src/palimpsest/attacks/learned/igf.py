"""Inverting Gradient difference to Forgotten data (IGF, arXiv 2505.11097, section 3.2)."""

from typing import Annotated, ClassVar

from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Generator, Tensor, nn

from palimpsest.attacks.auditor_view import AuditorView
from palimpsest.attacks.learned.base import LearnedInversion
from palimpsest.attacks.learned.extractors import ReductionName, fit_reduction
from palimpsest.attacks.learned.features import Features, Readouts
from palimpsest.attacks.learned.inverter import PixelShuffleInverter
from palimpsest.reduction import CountSketch
from palimpsest.registry import ATTACKS


class ReducedInversion(LearnedInversion):
    """Base of the attacks that see the reduced vector and nothing else."""

    reduction: ReductionName = "svd"
    """How a difference is made small: centred SVD (Eqs. 4, 5), feature hashing (Table 5), or not at all."""
    explained_variance: Annotated[float, Field(gt=0, le=1)] = 0.95
    """SVD: the share nu of the variance that is kept (Eq. 5)."""
    components: PositiveInt | None = None
    """SVD: keep no more than so many directions."""
    hash_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Hashing: bins per parameter (the paper's ResNet20: 0.5)."""
    sketch: PositiveInt | None = None
    """Sum coordinates with random signs in so many bins before anything else, where the vectors of all auxiliary images
    would be too many to keep, as a ResNet-18's are; none to keep them as they are."""
    normalise: bool = False
    """Reduce the direction of a difference, and give its length as a feature of its own."""
    signs: bool = False
    """Reduce the signs of a difference's coordinates: a few large ones hide what the many small ones say."""

    def draw_sketch(self, dimension: int, generator: Generator) -> CountSketch | None:
        """See `LearnedInversion.draw_sketch`."""
        if self.sketch is None or self.sketch >= dimension:
            return None
        return CountSketch.draw(dimension, self.sketch, generator=generator)

    def learn_readouts(
        self, vectors: Tensor, labels: Tensor, view: AuditorView, generator: Generator
    ) -> Readouts:
        """See `LearnedInversion.learn_readouts`."""
        reduced = fit_reduction(
            vectors,
            reduction=self.reduction,
            normalise=self.normalise,
            signs=self.signs,
            explained_variance=self.explained_variance,
            components=self.components,
            hash_rate=self.hash_rate,
            memory_budget=view.memory_budget // 2,
            folder=view.scratch,
            generator=generator,
        )
        return Readouts(others=[reduced], facts=reduced.facts)


@ATTACKS.register("igf")
class IGF(ReducedInversion):
    """Learn, on auxiliary images, to turn a projected gradient difference back into its image."""

    source: ClassVar[str] = "IGF, section 3.2, Eqs. 3 to 9, and appendix D"

    width: Annotated[int, Field(ge=8, multiple_of=8)] = 256
    """Channels of the inversion network's first map."""
    blocks: NonNegativeInt = 0
    """Residual blocks on the first map; each upsampling has half as many."""
    full_size_maps: bool = True
    """Make maps of the image's size last, and the image of them by a convolution; without, the last PixelShuffle makes
    the image itself, which is a fifth less work."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Share of the features hidden in each training step."""

    def build_inverter(self, features: Features, shape: tuple[int, int, int]) -> nn.Module:
        """See `LearnedInversion.build_inverter`."""
        return PixelShuffleInverter(
            features.count,
            shape,
            width=self.width,
            dropout=self.dropout,
            blocks=self.blocks,
            full_size_maps=self.full_size_maps,
        )
