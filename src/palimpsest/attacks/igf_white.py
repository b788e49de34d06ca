"""The same auditor, knowing the architecture: the last convolution comes apart too, and the layers are learned."""

from typing import ClassVar

from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from palimpsest.attacks.head import Head
from palimpsest.attacks.igf_plus import IGFPlus
from palimpsest.attacks.inverter import Maps
from palimpsest.attacks.readouts import Readout
from palimpsest.attacks.surrogate import poolings
from palimpsest.attacks.view import ArchitectView, AuditorView, Knowledge
from palimpsest.attacks.windows import find_last_convolution, fit_windows
from palimpsest.errors import KnowledgeError
from palimpsest.registry import ATTACKS


@ATTACKS.register("igf-white")
class IGFWhite(IGFPlus):
    """As igf-plus, estimate what the last convolution saw in each of its pooling windows, and match the last layer's
    inputs with a network of the models' own layers."""

    source: ClassVar[str] = "IGF's threat model with the architecture known; the attack is Palimpsest's own"
    knowledge: ClassVar[frozenset[Knowledge]] = IGFPlus.knowledge | {Knowledge.ARCHITECTURE}

    patch_components: PositiveInt = 96
    """Principal components of a window's patch that the network sees, for each of the two models."""

    matching: NonNegativeInt = 150
    """Steps by which images are moved to where the last layer's inputs are those in the proof; 0 leaves them."""

    def lay_over(
        self, head: Head, arrangement: Maps, vectors: Tensor, labels: Tensor, view: AuditorView
    ) -> list[Readout]:
        """The last convolution's windows, where the architecture has them right before the head."""
        convolution = find_last_convolution(_architecture(view), head)
        if convolution is None or convolution.windows != arrangement[1] * arrangement[2]:
            return []
        return [fit_windows(head, convolution, vectors, labels, components=self.patch_components)]

    def surrogate_widths(self, shape: tuple[int, int, int], maps: Maps, view: AuditorView) -> tuple[int, ...]:
        """The models' own, where they are convolutions with a pooling each."""
        convolutions = [one for one in _architecture(view).modules() if isinstance(one, nn.Conv2d)]
        widths = tuple(one.out_channels for one in convolutions)
        if len(widths) != poolings(shape, maps) or widths[-1] != maps[0] // 2:
            return super().surrogate_widths(shape, maps, view)
        return widths[:-1]


def _architecture(view: AuditorView) -> nn.Module:
    if not isinstance(view, ArchitectView):
        raise KnowledgeError("igf-white needs to know the model's architecture: give it an ArchitectView.")
    return view.architecture
