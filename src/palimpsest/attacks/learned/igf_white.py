"""The same auditor, knowing the architecture: the last convolution's gradient comes apart too."""

from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor

from palimpsest.attacks.auditor_view import ArchitectView, AuditorView, Knowledge
from palimpsest.attacks.learned.extractors import Readout
from palimpsest.attacks.learned.igf_plus import IGFPlus
from palimpsest.attacks.learned.inverter import Maps
from palimpsest.attacks.learned.last_conv import find_last_convolution, fit_windows
from palimpsest.attacks.learned.last_linear import Head
from palimpsest.errors import KnowledgeError
from palimpsest.registry import ATTACKS


@ATTACKS.register("igf-white")
class IGFWhite(IGFPlus):
    """As igf-plus, and estimate what the last convolution saw in each of its pooling windows."""

    source: ClassVar[str] = "IGF's threat model with the architecture known; the attack is Palimpsest's own"
    knowledge: ClassVar[frozenset[Knowledge]] = IGFPlus.knowledge | {Knowledge.ARCHITECTURE}

    patch_components: PositiveInt = 96
    """Principal components of a window's patch that the network sees, for each of the two models."""

    def lay_over(
        self, head: Head, arrangement: Maps, vectors: Tensor, labels: Tensor, view: AuditorView
    ) -> list[Readout]:
        """The last convolution's windows, where the architecture has them right before the head."""
        if not isinstance(view, ArchitectView):
            raise KnowledgeError(
                "igf-white needs to know the model's architecture: give it an ArchitectView."
            )
        convolution = find_last_convolution(view.architecture, head)
        if convolution is None or convolution.windows != arrangement[1] * arrangement[2]:
            return []
        return [fit_windows(head, convolution, vectors, labels, components=self.patch_components)]
