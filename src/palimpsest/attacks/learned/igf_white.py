"""IGF-plus for an auditor who knows the architecture: the last convolution's gradient difference too."""

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
    """Like igf-plus, and estimate the last convolution's input patch in each of its pooling windows."""

    source: ClassVar[str] = "IGF's threat model with the architecture known; the attack is Palimpsest's own"
    knowledge: ClassVar[frozenset[Knowledge]] = IGFPlus.knowledge | {Knowledge.ARCHITECTURE}

    patch_components: PositiveInt = 96
    """Principal components of a window's patch that the network sees, for each of the two models."""

    def spatial_extractors(
        self, last_linear: LastLinear, layout: MapShape, vectors: Tensor, labels: Tensor, view: AuditorView
    ) -> list[FeatureExtractor]:
        """Fit the patches of the last convolution, if it stands right before the last linear layer; see `IGFPlus`.

        Raises:
            KnowledgeError: The view lacks the architecture.
        """
        if not isinstance(view, ArchitectView):
            raise KnowledgeError(
                "igf-white needs to know the model's architecture: give it an ArchitectView."
            )
        convolution = find_last_convolution(view.architecture, last_linear)
        if convolution is None or convolution.windows != layout[1] * layout[2]:
            return []
        return [fit_patches(last_linear, convolution, vectors, labels, components=self.patch_components)]
