"""IGF with feature extractors for the last linear layer and a refinement, at the same knowledge."""

import math
from dataclasses import replace
from typing import Annotated, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn

from palimpsest.attacks.auditor_view import AuditorView
from palimpsest.attacks.learned.base import LearnedInversion
from palimpsest.attacks.learned.extractors import (
    FeatureExtractor,
    LastLinearInputs,
    LastLinearResiduals,
    fit_reduction,
)
from palimpsest.attacks.learned.feature_map_layout import find_feature_map_layout, probe_count
from palimpsest.attacks.learned.features import FeatureExtractors, Features
from palimpsest.attacks.learned.image_training import ImagePairs, Schedule
from palimpsest.attacks.learned.inverter import MapShape, PixelShuffleInverter
from palimpsest.attacks.learned.last_linear import LastLinear, factorize_rank_two, find_last_linear
from palimpsest.attacks.learned.refinement import Refinement
from palimpsest.attacks.learned.state import Learned
from palimpsest.attacks.learned.surrogate import Surrogate, fit_surrogate, usual_widths
from palimpsest.attacks.learned.training import global_seed
from palimpsest.errors import DivergenceError
from palimpsest.randomness import fork
from palimpsest.reduction import fit_projection
from palimpsest.registry import ATTACKS

# A layer whose inputs may be negative has no non-negative factors; impure residuals show that.
_PURE = 0.99
_PROBES = 64
# Number of queries on which the inverter's errors are computed, and of their principal directions.
_ERRORS, _DIRECTIONS = 8192, 512
# Factors of `matching_noise` that are tried, and the number of images that decide between them.
_NOISES, _DECIDING = (1.0, 3.0), 128


@ATTACKS.register("igf-plus")
class IGFPlus(LearnedInversion):
    """Find the last linear layer inside the vectors, factorize its gradient difference, and learn to invert it."""

    source: ClassVar[str] = "IGF's threat model (section 3.1); the attack is Palimpsest's own"

    last_linear: bool = True
    """Find the last linear layer in the vectors and factorize its gradient differences: inputs, predictions, label."""
    feature_map_layout: bool = True
    """Find, by shifted queries, how these inputs are laid out over the image, and give them to convolutions."""
    label: bool = True
    """Give the network the label that the last layer reveals."""
    components: NonNegativeInt = 256
    """Principal directions of the whole vector that the network sees in addition; 0 means none."""
    normalize: bool = True
    """Compute these directions from vectors of length one, and give the length as a feature of its own."""
    signs: bool = False
    """Compute these directions from the signs of the coordinates, which a few large coordinates can't dominate."""
    matching: NonNegativeInt = 100
    """Steps that move images to where the last layer's inputs equal those in the proof; 0 leaves the images."""
    matching_starts: PositiveInt = 4
    """Searches for each image, from random starts within the inverter's errors; their images are averaged."""
    matching_noise: PositiveFloat = 0.25
    """How far an input may differ from the image's, as a share of the inputs' standard deviation; three times as far,
    or any distance, if that serves the validation images better."""
    surrogate_width: PositiveInt = 32
    """Channels of the first convolution of the network that predicts an image's inputs; each next one has twice as
    many."""
    surrogate_epochs: PositiveInt = 4
    """Passes of that network over the queries."""
    queries: PositiveInt = 8
    """Queries for each auxiliary image: the image, its horizontal flip, then also shifted and brightened copies."""
    width: Annotated[int, Field(ge=8, multiple_of=8)] = 192
    """Channels of the inversion network's first map."""
    blocks: NonNegativeInt = 2
    """Residual blocks on the first map; each upsampling has half as many."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the features hidden in each training step; features laid out over the image are never hidden."""
    beta: NonNegativeFloat = 0.0
    """Weight of the perceptual distance (Eq. 6); 0 needs no VGG weights."""
    perceptual_batch: PositiveInt | None = 32
    """Measure that distance on so many images of each step, an estimate of Eq. 8; None means all images."""
    epochs: PositiveInt = 4
    """Passes over the queries."""
    batch_size: Annotated[int, Field(ge=2)] = 128
    """Images in a step."""
    learning_rate: PositiveFloat = 2e-3
    """The highest learning rate of the schedule."""
    schedule: Schedule = "one-cycle"
    """Keep the learning rate, or raise it to that value in a tenth of the steps and lower it to zero (one-cycle)."""

    def fit_extractors(
        self, vectors: Tensor, labels: Tensor, view: AuditorView, generator: Generator
    ) -> FeatureExtractors:
        """Extract the last layer's inputs and residuals, and the projected vector; see `LearnedInversion`."""
        last_linear = self._find_last_linear(vectors, view)
        facts: dict[str, float] = {"last_linear_inputs": last_linear.width if last_linear else 0}
        spatial: list[FeatureExtractor] = []
        others: list[FeatureExtractor] = []
        layout = self._find_layout(last_linear, view) if last_linear else None
        if last_linear:
            others.append(LastLinearResiduals(last_linear, label=self.label))
            (spatial if layout else others).append(LastLinearInputs(last_linear))
            if layout:
                spatial += self.spatial_extractors(last_linear, layout, vectors, labels, view)
        if self.components or not last_linear:
            reduced = fit_reduction(
                vectors,
                reduction="svd",
                normalize=self.normalize,
                signs=self.signs,
                explained_variance=1.0,
                components=self.components or None,
                memory_budget=view.memory_budget // 2,
                folder=view.scratch,
                generator=generator,
            )
            others.append(reduced)
            facts |= reduced.facts
        map_size = layout[1:] if layout else (1, 1)
        facts["feature_map_layout"] = map_size[0] if layout else 0
        return FeatureExtractors(spatial=spatial, others=others, map_size=map_size, facts=facts)

    def probes(self, view: AuditorView) -> int:
        """The number of shifted queries; see `LearnedInversion.probes`."""
        return probe_count(view.auxiliary.images[:_PROBES]) if self.feature_map_layout else 0

    def spatial_extractors(
        self, last_linear: LastLinear, layout: MapShape, vectors: Tensor, labels: Tensor, view: AuditorView
    ) -> list[FeatureExtractor]:
        """Fit further extractors whose features are laid out over the image. This class has none.

        Args:
            last_linear: The last linear layer.
            layout: Channels, height, and width of its inputs.
            vectors: Gradient differences of the auxiliary images, `[m, d]`.
            labels: Their labels, `[m]`.
            view: What the auditor holds.
        """
        return []

    def build_inverter(self, features: Features, shape: tuple[int, int, int]) -> nn.Module:
        """Build IGF's network with an entrance for feature maps; see `LearnedInversion.build_inverter`."""
        return PixelShuffleInverter(
            features.count,
            shape,
            width=self.width,
            dropout=self.dropout,
            blocks=self.blocks,
            maps=features.maps,
        )

    def fit_refinement(
        self,
        learned: Learned,
        pairs: ImagePairs,
        validation: ImagePairs,
        view: AuditorView,
        generator: Generator,
    ) -> Learned:
        """Learn how the last layer's inputs follow from an image, and how the inverter errs; see `LearnedInversion`."""
        maps = _input_maps(learned.features)
        if not self.matching or maps is None:
            return learned
        with global_seed(fork(generator)):
            widths = usual_widths(learned.shape, maps, self.surrogate_width)
            surrogate = Surrogate(learned.shape, maps, widths)
        rows = pairs.rows[torch.randperm(len(pairs), generator=generator)[:_ERRORS]]
        inputs = _inputs(learned.features, pairs.features[rows])
        scale = max(float(inputs.std(0).mean()), torch.finfo(torch.float32).eps)
        try:
            history = fit_surrogate(
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
        except DivergenceError:
            # The refinement is an improvement only: without a surrogate the networks' images stand.
            return learned
        images = self.apply_networks(learned, pairs.features[rows], device=view.device)
        errors = fit_projection(
            (pairs.images_uint8[rows].float() / 255 - images).flatten(1),
            explained_variance=1.0,
            components=_DIRECTIONS,
            memory_budget=view.memory_budget // 2,
            generator=generator,
        )
        refinement = Refinement(
            surrogate={name: value.contiguous() for name, value in surrogate.cpu().state_dict().items()},
            widths=widths,
            errors=errors,
            count=len(images),
            scale=scale,
            largest=float(inputs.max()),
            noise=self.matching_noise,
            starts=torch.randn(self.matching_starts, errors.components, generator=generator),
        )
        learned = replace(learned, history=learned.history | history)
        return self._choose_refinement(learned, refinement, validation, view.device)

    def refine(self, learned: Learned, images: Tensor, features: Tensor, *, device: str) -> Tensor:
        """Search for images with the last layer's inputs that the proofs contain; see `LearnedInversion.refine`."""
        maps = _input_maps(learned.features)
        if maps is None:
            return images
        for refinement in learned.refinement:
            # Built without storage, so that it draws no random weights.
            with torch.device("meta"):
                surrogate = Surrogate(learned.shape, maps, refinement.widths)
            images = refinement.refine(
                surrogate,
                images,
                _inputs(learned.features, features),
                steps=self.matching,
                precision=self.precision,
                device=device,
            )
        return images

    def _choose_refinement(
        self, learned: Learned, refinement: Refinement, validation: ImagePairs, device: str
    ) -> Learned:
        """Choose the noise, or no refinement, by the error on validation images."""
        candidates = [replace(refinement, noise=factor * refinement.noise) for factor in _NOISES]
        choices = [replace(learned, refinement=(candidate,)) for candidate in candidates]
        rows = validation.rows[:_DECIDING]
        if not len(rows):
            return choices[0]
        features, truth = validation.features[rows], validation.images_uint8[rows].float() / 255
        images = self.apply_networks(learned, features, device=device)

        def error(choice: Learned) -> float:
            return float((self.refine(choice, images, features, device=device) - truth).square().mean())

        return min([learned, *choices], key=error)

    def _find_last_linear(self, vectors: Tensor, view: AuditorView) -> LastLinear | None:
        found = find_last_linear(vectors, view.auxiliary.classes) if self.last_linear else None
        if found is None or factorize_rank_two(found, vectors[:_PROBES]).purity.median() <= _PURE:
            return None
        return found

    def _find_layout(self, last_linear: LastLinear, view: AuditorView) -> MapShape | None:
        if not self.feature_map_layout or not view.affords(self.probes(view)):
            return None
        images, labels = view.auxiliary.images[:_PROBES], view.auxiliary.labels[:_PROBES]
        return find_feature_map_layout(
            last_linear, images, lambda shifted: torch.cat([*view.oracle.differences(shifted, labels)]).cpu()
        )


def _input_maps(features: Features) -> MapShape | None:
    """Layout of the last layer's inputs at both models over the image; None if it was not found."""
    first = features.extractors[0]
    if features.maps is None or not isinstance(first, LastLinearInputs):
        return None
    _, height, width = features.maps
    return 2 * first.last_linear.width // (height * width), height, width


def _inputs(features: Features, standardized: Tensor) -> Tensor:
    """These inputs `[n, 2 x width]`, from standardized features `[n, k]`."""
    maps = _input_maps(features)
    if maps is None:
        return standardized[:, :0]
    return LastLinearInputs.inputs(features.restore(standardized, math.prod(maps)))
