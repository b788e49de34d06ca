"""IGF-white: IGF-plus for an auditor who knows the architecture, with features of the last convolution."""

from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor

from palimpsest.attacks.auditor_view import ArchitectView, AuditorView, Knowledge
from palimpsest.attacks.learned.extractors import FeatureExtractor
from palimpsest.attacks.learned.igf_plus import IGFPlus
from palimpsest.attacks.learned.inverter import MapShape
from palimpsest.attacks.learned.last_conv import find_last_convolution, fit_patches
from palimpsest.attacks.learned.last_linear import LastLinear
from palimpsest.errors import KnowledgeError
from palimpsest.registry import ATTACKS


@ATTACKS.register("igf-white")
class IGFWhite(IGFPlus):
    """Extend igf-plus by estimates of the last convolution's input patch in each pooling window."""

    source: ClassVar[str] = "Palimpsest's own attack, under IGF's threat model with a known architecture"
    knowledge: ClassVar[frozenset[Knowledge]] = IGFPlus.knowledge | {Knowledge.ARCHITECTURE}

    patch_components: PositiveInt = 96
    """Principal components of a window's patch that become features, for each of the two models."""

    def spatial_extractors(
        self, last_linear: LastLinear, layout: MapShape, vectors: Tensor, labels: Tensor, view: AuditorView
    ) -> list[FeatureExtractor]:
        """Fit the last convolution's patches if its pooled outputs are the last linear layer's inputs; see `IGFPlus`.

        Raises:
            KnowledgeError: The view lacks the architecture.
        """
        if not isinstance(view, ArchitectView):
            raise KnowledgeError(
                "igf-white needs the model's architecture, which this view lacks. Pass an ArchitectView."
            )
        convolution = find_last_convolution(view.architecture, last_linear)
        if convolution is None or convolution.windows != layout[1] * layout[2]:
            return []
        return [fit_patches(last_linear, convolution, vectors, labels, components=self.patch_components)]
