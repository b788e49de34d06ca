"""Base class of learned attacks on images: query, extract features, train networks, invert proofs (IGF, 3.2)."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn

from palimpsest.attacks.auditor_view import AuditorView, Knowledge, Reconstruction, TrainedAttack
from palimpsest.attacks.learned.augmentation import Queries, augmented_queries
from palimpsest.attacks.learned.ddp import train_ddp
from palimpsest.attacks.learned.features import FeatureExtractors, Features, fit_features, query_again
from palimpsest.attacks.learned.group_queries import group_queries
from palimpsest.attacks.learned.image_training import (
    ImagePairs,
    Schedule,
    TrainingPlan,
    invert,
    train_inverter,
)
from palimpsest.attacks.learned.perceptual_loss import VggFeatures, load_vgg_features
from palimpsest.attacks.learned.precision import Precision
from palimpsest.attacks.learned.state import Learned, Network
from palimpsest.attacks.learned.training import History, global_seed, refreshed_pairs
from palimpsest.randomness import fork
from palimpsest.reduction import VectorSketch
from palimpsest.storage import Record


class LearnedInversion(TrainedAttack):
    """Base class of the attacks that train networks on the auditor's queries to reconstruct a proof's image."""

    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    )
    state: ClassVar[type[Record]] = Learned

    queries: PositiveInt = 1
    """Queries for each auxiliary image: the image, its horizontal flip, then randomly shifted and relit variations.
    Aggregated proofs: this many random groups for each image, without variations."""
    horizontal_flip: bool = True
    """Whether to flip images horizontally; turn this off for digits and text."""
    mixup: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the random variations that are blended with another image."""
    ensemble_size: PositiveInt = 1
    """Number of networks, each trained from a different initialization; their images are averaged."""
    beta: NonNegativeFloat = 0.01
    """Weight of the perceptual distance (Eq. 6); 0 needs no VGG weights."""
    perceptual_batch: PositiveInt | None = None
    """Images of each step on which the perceptual distance is measured, to estimate Eq. 8. If omitted, all images."""
    vgg_weights: Path | None = None
    """A safetensors file with VGG-16's first four convolutions. If omitted, torchvision's weights are used."""
    epochs: PositiveInt = 100
    """Maximum number of training epochs, which are passes over the queries."""
    patience: PositiveInt | None = 20
    """Epochs without a smaller error on the validation images after which the training stops; the weights of the best
    epoch are kept. None trains all epochs and keeps the last weights, as in the paper."""
    batch_size: Annotated[int, Field(ge=2)] = 256
    """Images in a training step (256 in the paper)."""
    learning_rate: PositiveFloat = 1e-4
    """Learning rate of the optimizer (1e-4 in the paper); the peak of the one-cycle schedule."""
    schedule: Schedule = "constant"
    """Learning-rate schedule: constant, or one-cycle, which rises for a tenth of the steps, then falls to zero."""
    precision: Precision = "auto"
    """Number format of the network's matrix products and convolutions; auto is bfloat16 if the hardware supports it."""
    devices: PositiveInt = 1
    """GPUs (processes on a CPU) that share each training step; with a stochastic oracle only one is used."""
    refreshes: PositiveInt | None = None
    """Times that a stochastic oracle is queried, spread evenly over the epochs. If omitted, once in every epoch."""
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the auxiliary images that are held out for validation; the networks are not trained on them."""

    @abstractmethod
    def fit_extractors(
        self, vectors: Tensor, labels: Tensor, view: AuditorView, generator: Generator
    ) -> FeatureExtractors:
        """Fit feature extractors to the gradient differences of the auxiliary images.

        Args:
            vectors: Gradient differences of the auxiliary images, `[m, d]`, or their sketches.
            labels: Labels of the auxiliary images, `[m]`.
            view: The auditor's view.
            generator: Source of the attack's randomness.
        """

    @abstractmethod
    def build_inverter(self, features: Features, shape: tuple[int, int, int]) -> nn.Module:
        """Build a network from features to images, with fresh weights.

        Args:
            features: Description of the network's inputs.
            shape: Channels, height, and width of the images.
        """

    def learn(self, view: AuditorView, *, generator: Generator) -> Learned:
        """Train on the oracle's answers, without using the proofs.

        Args:
            view: Oracle and auxiliary images. A stochastic oracle is queried again during training.
            generator: Source of the attack's randomness.

        Returns:
            The trained state of the attack.

        Raises:
            ConfigurationError: The weights of the perceptual distance are missing.
            DivergenceError: The training loss is not finite.
        """
        # Fail early if the weights are missing.
        perceptual = load_vgg_features(self.vgg_weights) if self.beta > 0 else None
        grouped = (
            group_queries(view, self.affordable(view), validation=self.validation, generator=generator)
            if view.group_sizes
            else None
        )
        queries = grouped[0] if grouped else self._queries(view, generator)
        features, query_features = fit_features(
            view,
            queries,
            lambda vectors, labels: self.fit_extractors(vectors, labels, view, generator),
            sketch=self.draw_sketch(view, generator),
        )
        rows = grouped[1:] if grouped else self._split(queries, len(view.auxiliary), generator)
        training_rows, validation_rows = rows
        pairs = ImagePairs(query_features, queries.images_uint8, training_rows)
        validation = ImagePairs(query_features, queries.images_uint8, validation_rows)
        networks, history = self._train(
            features,
            self._training_pairs(view, queries, features, pairs),
            validation,
            perceptual,
            view,
            generator,
        )
        learned = Learned(features, networks, view.auxiliary.shape, history)
        if view.stochastic_oracle:
            return learned
        return self.fit_refinement(learned, pairs, validation, view, generator)

    def fit_refinement(
        self,
        learned: Learned,
        pairs: ImagePairs,
        validation: ImagePairs,
        view: AuditorView,
        generator: Generator,
    ) -> Learned:
        """Fit a refinement to the errors of the trained networks. The base class fits none.

        Args:
            learned: The trained state without a refinement.
            pairs: Training pairs of the networks.
            validation: Pairs held out from training.
            view: The auditor's view.
            generator: Source of the attack's randomness.

        Returns:
            The trained state, with a refinement if one was fitted.
        """
        return learned

    def refine(self, learned: Learned, images: Tensor, features: Tensor, *, device: str) -> Tensor:
        """Return the reconstructed images, adjusted to the proofs. The base class returns them unchanged.

        Args:
            learned: Trained state of the attack.
            images: The networks' images, `[n, channels, height, width]`.
            features: Standardized features of the proofs, `[n, k]`.
            device: "cpu" or "cuda".
        """
        return images

    def invert(self, learned: Learned, proofs: Tensor, *, device: str) -> Reconstruction:
        """Reconstruct the image behind each proof (IGF, Eq. 9).

        Args:
            learned: Trained state of the attack.
            proofs: Gradient differences, `[n, d]`.
            device: "cpu" or "cuda".

        Returns:
            One image for each proof, in the order of the proofs.
        """
        features = torch.cat([learned.features.transform(rows) for rows in proofs.split(256)])
        images = self.apply_networks(learned, features, device=device)
        images = self.refine(learned, images, features, device=device)
        return Reconstruction(images=images, history=learned.history, facts=learned.features.facts)

    def apply_networks(self, learned: Learned, features: Tensor, *, device: str) -> Tensor:
        """Reconstruct images with each network, and average them.

        Args:
            learned: Trained state of the attack.
            features: Standardized features, `[n, k]`.
            device: "cpu" or "cuda".

        Returns:
            Images, `[n, channels, height, width]` in [0, 1].
        """
        images = torch.zeros(len(features), *learned.shape)
        for network in learned.networks:
            # On the meta device, the network gets no storage and draws no random weights.
            with torch.device("meta"):
                inverter = self.build_inverter(learned.features, learned.shape)
            inverter.load_state_dict(network.parameters, assign=True)
            images += invert(inverter, features, device=device) / len(learned.networks)
        return images

    def draw_sketch(self, view: AuditorView, generator: Generator) -> VectorSketch | None:
        """Draw the sketch that shortens vectors before they are stored. The base class stores whole vectors.

        Args:
            view: The auditor's view.
            generator: Source of the attack's randomness.

        Returns:
            The sketch, or None to store whole vectors.
        """
        return None

    def probes(self, view: AuditorView) -> int:
        """Return the number of queries that `fit_extractors` makes in addition to the training queries."""
        return 0

    def affordable(self, view: AuditorView) -> int:
        """Return the number of queries for each auxiliary image: `queries`, or fewer if the oracle limits them."""
        if view.remaining_queries is None:
            return self.queries
        probes, limit = self.probes(view), view.remaining_queries
        available = limit - probes if view.affords(probes) else limit
        return min(self.queries, 1 + available // len(view.auxiliary))

    def _train(
        self,
        features: Features,
        training_pairs: Callable[[int], ImagePairs],
        validation: ImagePairs,
        perceptual: VggFeatures | None,
        view: AuditorView,
        generator: Generator,
    ) -> tuple[tuple[Network, ...], History]:
        """Train the networks one after another; history keys have a number from the second network on."""
        ddp = self.devices > 1 and not view.stochastic_oracle
        train = partial(train_ddp, devices=self.devices) if ddp else train_inverter
        history: History = {}
        networks = []
        for index in range(self.ensemble_size):
            with global_seed(fork(generator)):
                inverter = self.build_inverter(features, view.auxiliary.shape)
            series = train(
                inverter, training_pairs, validation, perceptual, self._plan(view.device), generator=generator
            )
            history |= {f"{name}_{index + 1}" if index else name: values for name, values in series.items()}
            # A loaded network has contiguous weights. With the same layout here, both compute bitwise equal images.
            networks.append(
                Network({name: value.contiguous() for name, value in inverter.cpu().state_dict().items()})
            )
        return tuple(networks), history

    def _training_pairs(
        self, view: AuditorView, queries: Queries, features: Features, pairs: ImagePairs
    ) -> Callable[[int], ImagePairs]:
        """Return the source of each epoch's pairs; a stochastic oracle is queried again for the same images."""
        return refreshed_pairs(
            pairs,
            lambda: replace(pairs, features=query_again(view, queries, features)),
            refreshes=(self.refreshes or self.epochs) if view.stochastic_oracle else 1,
            epochs=self.epochs,
        )

    def _plan(self, device: str) -> TrainingPlan:
        names = [setting.name for setting in fields(TrainingPlan) if setting.name != "device"]
        return TrainingPlan(device=device, **{name: getattr(self, name) for name in names})

    def _queries(self, view: AuditorView, generator: Generator) -> Queries:
        return augmented_queries(
            view.auxiliary,
            self.affordable(view),
            mixup=self.mixup,
            horizontal_flip=self.horizontal_flip,
            generator=generator,
        )

    def _split(self, queries: Queries, images: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Split the queries into rows for training and for validation; variations of held-out images are dropped."""
        order = torch.randperm(images, generator=generator)
        held_out = int(images * self.validation)
        starts = range(0, len(queries), images)
        return torch.cat([order[held_out:] + start for start in starts]), order[:held_out]
