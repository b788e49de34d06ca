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
    """Base class of the attacks whose only features are the reduced gradient difference."""

    reduction: ReductionName = "svd"
    """Reduction of gradient differences: centered SVD (Eqs. 4 and 5), feature hashing (Table 5), or none."""
    explained_variance: Annotated[float, Field(gt=0, le=1)] = 0.95
    """SVD: share nu of the variance that is kept (Eq. 5)."""
    components: PositiveInt | None = None
    """SVD: maximum number of directions that are kept. If omitted, the number is unlimited."""
    hash_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Hashing: bins per parameter (0.5 in the paper, for ResNet20)."""
    sketch: PositiveInt | None = None
    """Bins of a count sketch that shortens vectors before they are stored, for models such as ResNet-18 whose vectors
    would take too much space. If omitted, whole vectors are stored."""
    normalize: bool = False
    """Whether to scale vectors to length one before the reduction and append the length as a feature."""
    signs: bool = False
    """Whether to reduce the signs of the coordinates, so that a few large coordinates can't dominate."""

    def draw_sketch(self, dimension: int, generator: Generator) -> CountSketch | None:
        """Draw a count sketch if vectors are longer than `sketch`; see `LearnedInversion.draw_sketch`."""
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
    """Train a network on auxiliary images to reconstruct an image from its projected gradient difference."""

    source: ClassVar[str] = "IGF, section 3.2, Eqs. 3 to 9, and appendix D"

    width: Annotated[int, Field(ge=8, multiple_of=8)] = 256
    """Channels of the inversion network's first map."""
    blocks: NonNegativeInt = 0
    """Residual blocks on the first map; each upsampling halves their number."""
    full_size_maps: bool = True
    """Whether the network ends with maps of the image's size and a convolution. If false, the last PixelShuffle outputs
    the image, which saves a fifth of the computation."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Share of the features that are dropped in each training step."""

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
