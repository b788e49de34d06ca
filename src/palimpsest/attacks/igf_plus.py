"""IGF past the paper, at the same knowledge: the vectors' own structure says what was forgotten."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn

from palimpsest.attacks.features import Features, Readouts
from palimpsest.attacks.grid import find_grid, probe_count
from palimpsest.attacks.head import Head, factorise, find_head
from palimpsest.attacks.inversion_training import Schedule
from palimpsest.attacks.inverter import Maps, PixelShuffleInverter
from palimpsest.attacks.learned import LearnedInversion
from palimpsest.attacks.readouts import HeadInputs, HeadResiduals, Readout, fit_reduction
from palimpsest.attacks.view import AuditorView
from palimpsest.registry import ATTACKS

# A layer whose inputs may be negative does not come apart into non-negative factors; its residuals show that.
_PURE = 0.99
_PROBES = 64


@ATTACKS.register("igf-plus")
class IGFPlus(LearnedInversion):
    """Find the last layer inside the vectors, take it apart, and learn from many queries to invert what it held."""

    source: ClassVar[str] = "IGF's threat model (section 3.1); the attack is Palimpsest's own"

    head: bool = True
    """Find the last linear layer in the vectors and take its differences apart: inputs, predictions and label."""
    grid: bool = True
    """Find, by shifted queries, how those inputs lie over the image, and lay them there."""
    label: bool = True
    """Give the network the label that the last layer gives away."""
    components: NonNegativeInt = 256
    """Directions of the whole vector that the network sees besides; 0 for none."""
    normalise: bool = True
    """Take those directions from vectors of length one, and give the length as a feature of its own."""
    signs: bool = False
    """Take those directions from the coordinates' signs: a few large ones hide what the many small ones say."""
    queries: PositiveInt = 8
    """Queries for each auxiliary image: itself, then mirrored, then also shifted and brightened."""
    width: Annotated[int, Field(ge=8, multiple_of=8)] = 192
    """Channels of the inversion network's first map."""
    blocks: NonNegativeInt = 2
    """Residual blocks on the first map; each upsampling has half as many."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the features hidden in each training step; features that lie over the image are not."""
    beta: NonNegativeFloat = 0.0
    """Weight of the perceptual distance (Eq. 6); 0 needs no VGG weights."""
    perceptual_batch: PositiveInt | None = 32
    """Measure that distance on so many images of each step, which estimates Eq. 8 at less cost; none for all."""
    epochs: PositiveInt = 4
    """Passes over the queries."""
    batch_size: Annotated[int, Field(ge=2)] = 128
    """Images in a step."""
    learning_rate: PositiveFloat = 2e-3
    """The highest rate of the schedule."""
    schedule: Schedule = "one-cycle"
    """Keep the rate, or let it rise to that height in a tenth of the steps and fall to nothing (one-cycle)."""

    def learn_readouts(
        self, vectors: Tensor, labels: Tensor, view: AuditorView, generator: Generator
    ) -> Readouts:
        """See `LearnedInversion.learn_readouts`."""
        head = self._find_head(vectors, view)
        facts: dict[str, float] = {"head_inputs": head.width if head else 0}
        maps: list[Readout] = []
        others: list[Readout] = []
        arrangement = self._find_grid(head, view) if head else None
        if head:
            others.append(HeadResiduals(head, label=self.label))
            (maps if arrangement else others).append(HeadInputs(head))
            if arrangement:
                maps += self.lay_over(head, arrangement, vectors, labels, view)
        if self.components or not head:
            reduced = fit_reduction(
                vectors,
                reduction="svd",
                normalise=self.normalise,
                signs=self.signs,
                explained_variance=1.0,
                components=self.components or None,
                memory_budget=view.memory_budget // 2,
                folder=view.scratch,
                generator=generator,
            )
            others.append(reduced)
            facts |= reduced.facts
        grid = arrangement[1:] if arrangement else (1, 1)
        facts["grid"] = grid[0] if arrangement else 0
        return Readouts(maps=maps, others=others, grid=grid, facts=facts)

    def probes(self, view: AuditorView) -> int:
        """See `LearnedInversion.probes`."""
        return probe_count(view.auxiliary.images[:_PROBES]) if self.grid else 0

    def lay_over(
        self, head: Head, arrangement: Maps, vectors: Tensor, labels: Tensor, view: AuditorView
    ) -> list[Readout]:
        """More readouts that lie over the image, for an attacker who knows more; here none."""
        return []

    def build_inverter(self, features: Features, shape: tuple[int, int, int]) -> nn.Module:
        """See `LearnedInversion.build_inverter`."""
        return PixelShuffleInverter(
            features.count,
            shape,
            width=self.width,
            dropout=self.dropout,
            blocks=self.blocks,
            maps=features.maps,
        )

    def _find_head(self, vectors: Tensor, view: AuditorView) -> Head | None:
        head = find_head(vectors, view.auxiliary.classes) if self.head else None
        return head if head and factorise(head, vectors[:_PROBES]).purity.median() > _PURE else None

    def _find_grid(self, head: Head, view: AuditorView) -> Maps | None:
        if not self.grid or not view.affords(self.probes(view)):
            return None
        images, labels = view.auxiliary.images[:_PROBES], view.auxiliary.labels[:_PROBES]
        return find_grid(
            head, images, lambda shifted: torch.cat([*view.oracle.differences(shifted, labels)]).cpu()
        )
