"""Inverting Gradient difference to Forgotten data (IGF, arXiv 2505.11097, section 3.2)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Generator, Tensor, nn

from palimpsest.attacks.auditor_view import ArchitectView, AuditorView, Knowledge
from palimpsest.attacks.learned.base import LearnedInversion
from palimpsest.attacks.learned.extractors import ReductionName, fit_reduction
from palimpsest.attacks.learned.features import FeatureExtractors, Features
from palimpsest.attacks.learned.inverter import PixelShuffleInverter
from palimpsest.errors import ConfigurationError, KnowledgeError
from palimpsest.gradients import trainable_parameters
from palimpsest.reduction import CountSketch, FactoredProjection, VectorSketch
from palimpsest.registry import ATTACKS

SketchKind = Literal["count", "factored"]
"""Count sketch, or random projection of each parameter's gradient as a matrix, from both sides."""


class ReducedInversion(LearnedInversion):
    """Base class of the attacks whose only features are the reduced gradient difference.

    From an aggregated proof, they reconstruct the mean image of its group.
    """

    takes_groups: ClassVar[bool] = True

    reduction: ReductionName = "svd"
    """Reduction of gradient differences: centered SVD (Eqs. 4 and 5), feature hashing (Table 5), or none."""
    explained_variance: Annotated[float, Field(gt=0, le=1)] = 0.95
    """SVD: share nu of the variance that is kept (Eq. 5)."""
    components: PositiveInt | None = None
    """SVD: maximum number of directions that are kept. If omitted, the number is unlimited."""
    hash_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Hashing: bins per parameter (0.5 in the paper, for ResNet20)."""
    sketch: PositiveInt | None = None
    """Numbers in a random sketch that shortens vectors before they are stored, for models such as ResNet-18 whose
    vectors would take too much space. If omitted, whole vectors are stored."""
    sketch_kind: SketchKind = "count"
    """Kind of the sketch: count, or factored, which needs the layers' shapes, so that not even the gradients of a layer
    are computed, but whose inner products have a larger error."""
    normalize: bool = False
    """Whether to scale vectors to length one before the reduction and append the length as a feature."""
    signs: bool = False
    """Whether to reduce the signs of the coordinates, so that a few large coordinates can't dominate."""

    @property
    def knowledge(self) -> frozenset[Knowledge]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Knowledge that the attack needs with its settings: a factored sketch needs the architecture."""
        factored = self.sketch is not None and self.sketch_kind == "factored"
        return LearnedInversion.knowledge | ({Knowledge.ARCHITECTURE} if factored else set())

    def draw_sketch(self, view: AuditorView, generator: Generator) -> VectorSketch | None:
        """Draw a sketch if vectors are longer than `sketch`; see `LearnedInversion.draw_sketch`.

        Raises:
            KnowledgeError: A factored sketch is set, and the view lacks the architecture.
            ConfigurationError: A factored sketch is set, and a defense has changed the length of the vectors.
        """
        dimension = view.oracle.dimension
        if self.sketch is None or self.sketch >= dimension:
            return None
        if self.sketch_kind == "count":
            return CountSketch.draw(dimension, self.sketch, generator=generator)
        if not isinstance(view, ArchitectView):
            raise KnowledgeError(
                "A factored sketch needs the shapes of the model's layers, which this view lacks. Pass an "
                "ArchitectView, or set attack.sketch_kind to count."
            )
        shapes = [parameter.shape for parameter in trainable_parameters(view.architecture).values()]
        count = sum(shape.numel() for shape in shapes)
        if count != dimension:
            raise ConfigurationError(
                f"The vectors have {dimension:,} coordinates, the model has {count:,} parameters. A factored sketch "
                "needs one coordinate for each parameter. Set attack.sketch_kind to count."
            )
        return FactoredProjection.draw(shapes, self.sketch, generator=generator)

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
