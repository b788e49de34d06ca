"""Inverting Gradient difference to Forgotten data (IGF, arXiv 2505.11097, section 3.2)."""

from typing import Annotated, ClassVar

from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Generator, Tensor, nn

from palimpsest.attacks.auditor_view import AuditorView
from palimpsest.attacks.learned.base import LearnedInversion
from palimpsest.attacks.learned.extractors import ReductionName, fit_reduction
from palimpsest.attacks.learned.features import FeatureExtractors, Features
from palimpsest.attacks.learned.inverter import PixelShuffleInverter
from palimpsest.reduction import CountSketch
from palimpsest.registry import ATTACKS


class ReducedInversion(LearnedInversion):
    """Base of the attacks whose only feature extractor is the reduced vector."""

    reduction: ReductionName = "svd"
    """Reduction of a gradient difference: centered SVD (Eqs. 4, 5), feature hashing (Table 5), or none."""
    explained_variance: Annotated[float, Field(gt=0, le=1)] = 0.95
    """SVD: share nu of the variance that is kept (Eq. 5)."""
    components: PositiveInt | None = None
    """SVD: maximum number of directions that are kept; None means no limit."""
    hash_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Hashing: bins per parameter (the paper's ResNet20: 0.5)."""
    sketch: PositiveInt | None = None
    """Sum coordinates with random signs in so many bins before anything else, if the vectors of all auxiliary images
    are too many to store, as a ResNet-18's are; None stores them whole."""
    normalize: bool = False
    """Reduce the direction of a difference, and give its length as a feature of its own."""
    signs: bool = False
    """Reduce the signs of a difference's coordinates, which a few large coordinates can't dominate."""

    def draw_sketch(self, dimension: int, generator: Generator) -> CountSketch | None:
        """Draw a count sketch if the vectors are longer than `sketch`; see `LearnedInversion.draw_sketch`."""
        if self.sketch is None or self.sketch >= dimension:
            return None
        return CountSketch.draw(dimension, self.sketch, generator=generator)

    def fit_extractors(
        self, vectors: Tensor, labels: Tensor, view: AuditorView, generator: Generator
    ) -> FeatureExtractors:
        """Fit the reduction; see `LearnedInversion.fit_extractors`."""
        reduced = fit_reduction(
            vectors,
            reduction=self.reduction,
            normalize=self.normalize,
            signs=self.signs,
            explained_variance=self.explained_variance,
            components=self.components,
            hash_rate=self.hash_rate,
            memory_budget=view.memory_budget // 2,
            folder=view.scratch,
            generator=generator,
        )
        return FeatureExtractors(others=[reduced], facts=reduced.facts)


@ATTACKS.register("igf")
class IGF(ReducedInversion):
    """Learn, on auxiliary images, to turn a projected gradient difference back into its image."""

    source: ClassVar[str] = "IGF, section 3.2, Eqs. 3 to 9, and appendix D"

    width: Annotated[int, Field(ge=8, multiple_of=8)] = 256
    """Channels of the inversion network's first map."""
    blocks: NonNegativeInt = 0
    """Residual blocks on the first map; each upsampling has half as many."""
    full_size_maps: bool = True
    """End with maps of the image's size and a convolution; otherwise the last PixelShuffle makes the image, which is a
    fifth less work."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Share of the features hidden in each training step."""

    def build_inverter(self, features: Features, shape: tuple[int, int, int]) -> nn.Module:
        """Build the PixelShuffle network (Fig. 11); see `LearnedInversion.build_inverter`."""
        return PixelShuffleInverter(
            features.count,
            shape,
            width=self.width,
            dropout=self.dropout,
            blocks=self.blocks,
            full_size_maps=self.full_size_maps,
        )
