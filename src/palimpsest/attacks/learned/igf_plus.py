"""IGF-plus: IGF with features of the last linear layer and a refinement of images, with the same knowledge."""

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

# Minimum purity of the residuals. It is lower if the layer's inputs can be negative, because the non-negative
# factorization then does not exist.
_PURE = 0.99
_PROBES = 64
# Number of queries on which the inverter's errors are computed, and number of principal directions of the errors.
_ERRORS, _DIRECTIONS = 8192, 512
# Candidate factors of `matching_noise`, and the number of validation images on which they are compared.
_NOISES, _DECIDING = (1.0, 3.0), 128


@ATTACKS.register("igf-plus")
class IGFPlus(LearnedInversion):
    """Factorize the last linear layer's gradient difference, and train a network to invert the factors."""

    source: ClassVar[str] = "Palimpsest's own attack, under IGF's threat model (section 3.1)"

    last_linear: bool = True
    """Whether to find the last linear layer in the vectors and factorize its gradient difference into inputs,
    predictions, and the label."""
    feature_map_layout: bool = True
    """Whether to find the feature-map layout of the layer's inputs by shifted queries, for use in convolutions."""
    label: bool = True
    """Whether the network gets the label that the last linear layer reveals."""
    components: NonNegativeInt = 256
    """Principal directions of the whole vector that are added to the features; 0 adds none."""
    normalize: bool = True
    """Whether to compute these directions from vectors of length one and append the length as a feature."""
    signs: bool = False
    """Whether to compute these directions from the signs of the coordinates, so that large ones can't dominate."""
    matching: NonNegativeInt = 100
    """Steps that adjust images until their inputs of the last layer match those in the proof; 0 skips this."""
    matching_starts: PositiveInt = 4
    """Searches for each image, from random starts within the inverter's errors; their images are averaged."""
    matching_noise: PositiveFloat = 0.25
    """Allowed mismatch of the inputs, in standard deviations of the inputs. Three times this value, or no matching, is
    used instead if it gives a smaller error on the validation images."""
    surrogate_width: PositiveInt = 32
    """Channels of the first convolution of the surrogate, the network that predicts the last layer's inputs of an
    image; each further convolution doubles them."""
    surrogate_epochs: PositiveInt = 4
    """Training epochs of the surrogate."""
    queries: PositiveInt = 8
    """Queries for each auxiliary image: the image, its horizontal flip, then randomly shifted and relit variations."""
    width: Annotated[int, Field(ge=8, multiple_of=8)] = 192
    """Channels of the inversion network's first map."""
    blocks: NonNegativeInt = 2
    """Residual blocks on the first map; each upsampling halves their number."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the features that are dropped in each training step; feature maps are never dropped."""
    beta: NonNegativeFloat = 0.0
    """Weight of the perceptual distance (Eq. 6); 0 needs no VGG weights."""
    perceptual_batch: PositiveInt | None = 32
    """Images of each step on which the perceptual distance is measured, to estimate Eq. 8. If omitted, all images."""
    epochs: PositiveInt = 4
    """Maximum number of training epochs, which are passes over the queries."""
    batch_size: Annotated[int, Field(ge=2)] = 128
    """Images in a training step."""
    learning_rate: PositiveFloat = 2e-3
    """Learning rate of the optimizer; the peak of the one-cycle schedule."""
    schedule: Schedule = "one-cycle"
    """Learning-rate schedule: constant, or one-cycle, which rises for a tenth of the steps, then falls to zero."""

    def fit_extractors(
        self, vectors: Tensor, labels: Tensor, view: AuditorView, generator: Generator
    ) -> FeatureExtractors:
        """Fit extractors of the last layer's inputs and residuals, and a projection; see `LearnedInversion`."""
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
        """Return the number of shifted queries; see `LearnedInversion.probes`."""
        return probe_count(view.auxiliary.images[:_PROBES]) if self.feature_map_layout else 0

    def spatial_extractors(
        self, last_linear: LastLinear, layout: MapShape, vectors: Tensor, labels: Tensor, view: AuditorView
    ) -> list[FeatureExtractor]:
        """Fit additional extractors whose features form maps over the image. This class has none.

        Args:
            last_linear: The last linear layer.
            layout: Channels, height, and width of the layer's inputs.
            vectors: Gradient differences of the auxiliary images, `[m, d]`.
            labels: Labels of the auxiliary images, `[m]`.
            view: The auditor's view.
        """
        return []

    def build_inverter(self, features: Features, shape: tuple[int, int, int]) -> nn.Module:
        """Build IGF's network with a second input for feature maps; see `LearnedInversion.build_inverter`."""
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
        """Train the surrogate, and fit the directions of the inverter's errors; see `LearnedInversion`."""
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
            # The refinement is optional. Without a surrogate, the networks' images are the result.
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
        """Adjust images until their inputs match those in the proofs; see `LearnedInversion.refine`."""
        maps = _input_maps(learned.features)
        if maps is None:
            return images
        for refinement in learned.refinement:
            # On the meta device, the network gets no storage and draws no random weights.
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
        """Choose the noise, or no refinement, that gives the smallest error on validation images."""
        candidates = [replace(refinement, noise=factor * refinement.noise) for factor in _NOISES]
        choices = [replace(learned, refinement=(candidate,)) for candidate in candidates]
        rows = validation.rows[:_DECIDING]
        if not len(rows):
            return choices[0]
        features, truth = validation.features[rows], validation.images_uint8[rows].float() / 255
        images = self.apply_networks(learned, features, device=device)

        def validation_error(choice: Learned) -> float:
            return float((self.refine(choice, images, features, device=device) - truth).square().mean())

        return min([learned, *choices], key=validation_error)

    def _find_last_linear(self, vectors: Tensor, view: AuditorView) -> LastLinear | None:
        """Find the last linear layer, or return None if its gradient differences have no non-negative factors."""
        layer = find_last_linear(vectors, view.auxiliary.classes) if self.last_linear else None
        if layer is None or factorize_rank_two(layer, vectors[:_PROBES]).purity.median() <= _PURE:
            return None
        return layer

    def _find_layout(self, last_linear: LastLinear, view: AuditorView) -> MapShape | None:
        """Find the layout of the layer's inputs, or return None if the oracle's limit forbids the queries."""
        if not self.feature_map_layout or not view.affords(self.probes(view)):
            return None
        images, labels = view.auxiliary.images[:_PROBES], view.auxiliary.labels[:_PROBES]
        return find_feature_map_layout(
            last_linear, images, lambda shifted: torch.cat([*view.oracle.differences(shifted, labels)]).cpu()
        )


def _input_maps(features: Features) -> MapShape | None:
    """Return the layout of both models' inputs of the last layer, or None if none was found."""
    first = features.extractors[0]
    if features.maps is None or not isinstance(first, LastLinearInputs):
        return None
    _, height, width = features.maps
    return 2 * first.last_linear.width // (height * width), height, width


def _inputs(features: Features, standardized: Tensor) -> Tensor:
    """Restore both models' inputs of the last layer, `[n, 2 x width]`, from standardized features `[n, k]`."""
    maps = _input_maps(features)
    if maps is None:
        return standardized[:, :0]
    return LastLinearInputs.inputs(features.restore(standardized, math.prod(maps)))
