"""IGF past the paper, at the same knowledge: the vectors' own structure says what was forgotten."""

import math
from dataclasses import replace
from typing import Annotated, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn

from palimpsest.attacks.auditor_view import AuditorView
from palimpsest.attacks.learned.base import Learned, LearnedInversion
from palimpsest.attacks.learned.extractors import HeadInputs, HeadResiduals, Readout, fit_reduction
from palimpsest.attacks.learned.feature_map_layout import find_grid, probe_count
from palimpsest.attacks.learned.features import Features, Readouts
from palimpsest.attacks.learned.inverter import Maps, PixelShuffleInverter
from palimpsest.attacks.learned.last_linear import Head, factorise, find_head
from palimpsest.attacks.learned.refinement import Consistency
from palimpsest.attacks.learned.surrogate import Surrogate, fit_surrogate, usual_widths
from palimpsest.attacks.learned.training import Pairs, Schedule
from palimpsest.randomness import fork
from palimpsest.reduction import fit_projection
from palimpsest.registry import ATTACKS

# A layer whose inputs may be negative does not come apart into non-negative factors; its residuals show that.
_PURE = 0.99
_PROBES = 64
# Of so many of the attacker's own queries the inverter's errors are looked at, in so many directions.
_ERRORS, _DIRECTIONS = 8192, 512
# How far an input may lie, in terms of the setting, and how many images judge of it.
_NOISES, _JUDGED = (1.0, 3.0), 128


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
    matching: NonNegativeInt = 100
    """Steps by which images are moved to where the last layer's inputs are those in the proof; 0 leaves them."""
    matching_starts: PositiveInt = 4
    """Searches for each image, from random places within the inverter's errors; their images are averaged."""
    matching_noise: PositiveFloat = 0.25
    """How far an input may lie from the image's, as a share of the inputs' standard deviation; thrice as far, or any
    distance, where that serves images better that were kept aside."""
    surrogate_width: PositiveInt = 32
    """Channels of the first convolution of the network that tells an image's inputs; each further one has twice as
    many."""
    surrogate_epochs: PositiveInt = 4
    """Its passes over the queries."""
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

    def learn_more(
        self, learned: Learned, pairs: Pairs, validation: Pairs, view: AuditorView, generator: Generator
    ) -> Learned:
        """See `LearnedInversion.learn_more`: how the last layer's inputs follow from an image, and how images err."""
        maps = _input_maps(learned.features)
        if not self.matching or maps is None:
            return learned
        with torch.random.fork_rng():
            torch.manual_seed(fork(generator))
            widths = usual_widths(learned.shape, maps, self.surrogate_width)
            surrogate = Surrogate(learned.shape, maps, widths)
        some = pairs.rows[torch.randperm(len(pairs), generator=generator)[:_ERRORS]]
        inputs = _inputs(learned.features, pairs.features[some])
        scale = max(float(inputs.std(0).mean()), torch.finfo(torch.float32).eps)
        curves = fit_surrogate(
            surrogate,
            pairs,
            validation,
            lambda features: _inputs(learned.features, features),
            scale=scale,
            epochs=self.surrogate_epochs,
            precision=self.precision,
            device=view.device,
            generator=generator,
        )
        missing = pairs.levels[some].float() / 255 - self.render(
            learned, pairs.features[some], device=view.device
        )
        errors = fit_projection(
            missing.flatten(1),
            explained_variance=1.0,
            components=_DIRECTIONS,
            memory_budget=view.memory_budget // 2,
            generator=generator,
        )
        consistency = Consistency(
            surrogate={name: value.contiguous() for name, value in surrogate.cpu().state_dict().items()},
            widths=widths,
            errors=errors,
            count=len(missing),
            scale=scale,
            largest=float(inputs.max()),
            noise=self.matching_noise,
            starts=torch.randn(self.matching_starts, errors.components, generator=generator),
        )
        learned = replace(learned, curves=learned.curves | curves)
        return self._choose_consistency(learned, consistency, validation, view.device)

    def _choose_consistency(
        self, learned: Learned, consistency: Consistency, validation: Pairs, device: str
    ) -> Learned:
        """With what serves the auditor's own images best that nothing was learned from: a noise, or no matching."""
        candidates = [replace(consistency, noise=factor * consistency.noise) for factor in _NOISES]
        choices = [replace(learned, consistency=(one,)) for one in candidates]
        rows = validation.rows[:_JUDGED]
        if not len(rows):
            return choices[0]
        features, images = validation.features[rows], validation.levels[rows].float() / 255
        given = self.render(learned, features, device=device)

        def error(choice: Learned) -> float:
            return float((self.correct(choice, given, features, device=device) - images).square().mean())

        return min([learned, *choices], key=error)

    def correct(self, learned: Learned, images: Tensor, features: Tensor, *, device: str) -> Tensor:
        """See `LearnedInversion.correct`."""
        maps = _input_maps(learned.features)
        if maps is None:
            return images
        for consistency in learned.consistency:
            images = consistency.correct(
                Surrogate(learned.shape, maps, consistency.widths),
                images,
                _inputs(learned.features, features),
                steps=self.matching,
                precision=self.precision,
                device=device,
            )
        return images

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


def _input_maps(features: Features) -> Maps | None:
    """How the last layer's inputs at both models lie over the image; none where that was not found."""
    first = features.readouts[0]
    if features.maps is None or not isinstance(first, HeadInputs):
        return None
    _, height, width = features.maps
    return 2 * first.head.width // (height * width), height, width


def _inputs(features: Features, standardised: Tensor) -> Tensor:
    """Those inputs `[n, 2 x width]`, of features `[n, k]`."""
    maps = _input_maps(features)
    return HeadInputs.inputs(features.restore(standardised, math.prod(maps))) if maps else standardised[:, :0]
