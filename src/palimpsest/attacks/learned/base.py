"""Base of the learned attacks on images: query, extract features, train inverters, invert proofs (IGF, section 3.2)."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn

from palimpsest.attacks.auditor_view import Attack, AuditorView, Knowledge, Reconstruction
from palimpsest.attacks.learned.augmentation import Queries, augmented_queries
from palimpsest.attacks.learned.ddp import train_ddp
from palimpsest.attacks.learned.features import FeatureExtractors, Features, fit_features, query_again
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
from palimpsest.reduction import CountSketch


class LearnedInversion(Attack):
    """Base of the attacks that learn, from the auditor's queries, to turn a proof back into its image."""

    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    )

    queries: PositiveInt = 1
    """Queries for each auxiliary image: the image, its horizontal flip, then also shifted and brightened copies."""
    horizontal_flip: bool = True
    """Whether to flip the variations horizontally."""
    mixup: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the shifted variations that are blended with another image."""
    ensemble_size: PositiveInt = 1
    """Networks that are trained, each from another initialization; their images are averaged."""
    beta: NonNegativeFloat = 0.01
    """Weight of the perceptual distance (Eq. 6); 0 needs no VGG weights."""
    perceptual_batch: PositiveInt | None = None
    """Measure that distance on so many images of each step, an estimate of Eq. 8; None means all images."""
    vgg_weights: Path | None = None
    """A safetensors file with VGG-16's first four convolutions; None means torchvision's weights."""
    epochs: PositiveInt = 100
    """Passes over the queries."""
    batch_size: Annotated[int, Field(ge=2)] = 256
    """Images in a step (the paper: 256)."""
    learning_rate: PositiveFloat = 1e-4
    """Adam's learning rate (the paper: 1e-4)."""
    schedule: Schedule = "constant"
    """Keep the learning rate, or raise it to that value in a tenth of the steps and lower it to zero (one-cycle)."""
    precision: Precision = "auto"
    """Number format of the network's products; auto takes bfloat16 where the processor multiplies it."""
    devices: PositiveInt = 1
    """GPUs, or on a CPU processes, that share each step; one if the oracle is stochastic."""
    refreshes: PositiveInt | None = None
    """For a stochastic oracle, such as one with a random defense: how often to query, spread over the epochs; None
    means in every epoch."""
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the auxiliary images kept aside for the validation curve; it chooses nothing."""

    @abstractmethod
    def fit_extractors(
        self, vectors: Tensor, labels: Tensor, view: AuditorView, generator: Generator
    ) -> FeatureExtractors:
        """Learn what to extract from a gradient difference.

        Args:
            vectors: Gradient differences of the auxiliary images, `[m, d]`, or their sketches.
            labels: Their labels, `[m]`.
            view: What the auditor holds.
            generator: The attack's randomness.
        """

    @abstractmethod
    def build_inverter(self, features: Features, shape: tuple[int, int, int]) -> nn.Module:
        """Build a network from features to images, with fresh weights.

        Args:
            features: What the network takes.
            shape: Channels, height, and width of the images.
        """

    def __call__(self, view: AuditorView, *, generator: Generator) -> Reconstruction:
        """Learn, then reconstruct the image behind each proof.

        Args:
            view: Proofs, oracle, and auxiliary images.
            generator: The attack's randomness.

        Returns:
            One image for each proof, in the order of the proofs.
        """
        return self.invert(self.learn(view, generator=generator), view.proofs, device=view.device)

    def learn(self, view: AuditorView, *, generator: Generator) -> Learned:
        """Learn from the oracle's answers; the proofs are not used.

        Args:
            view: Oracle and auxiliary images. A stochastic oracle is queried again during training.
            generator: The attack's randomness.

        Raises:
            ConfigurationError: The weights of the perceptual distance are missing.
            DivergenceError: The training loss is not finite.
        """
        # Fail early if the weights are missing.
        perceptual = load_vgg_features(self.vgg_weights) if self.beta > 0 else None
        queries = augmented_queries(
            view.auxiliary,
            self.affordable(view),
            mixup=self.mixup,
            horizontal_flip=self.horizontal_flip,
            generator=generator,
        )
        features, first = fit_features(
            view,
            queries,
            lambda vectors, labels: self.fit_extractors(vectors, labels, view, generator),
            sketch=self.draw_sketch(view.oracle.dimension, generator),
        )
        kept, aside = self._split(queries, len(view.auxiliary), generator)
        pairs = ImagePairs(first, queries.images_uint8, kept)
        validation = ImagePairs(first, queries.images_uint8, aside)
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
        """Learn from the errors of the trained networks. The base class learns nothing.

        Args:
            learned: The trained networks.
            pairs: The pairs that they were trained on.
            validation: Pairs kept aside.
            view: What the auditor holds.
            generator: The attack's randomness.
        """
        return learned

    def refine(self, learned: Learned, images: Tensor, features: Tensor, *, device: str) -> Tensor:
        """Move images to where they agree with the proofs. The base class returns them unchanged.

        Args:
            learned: What `learn` returned.
            images: The networks' images, `[n, channels, height, width]`.
            features: Standardized features of the proofs, `[n, k]`.
            device: "cpu" or "cuda".
        """
        return images

    def invert(self, learned: Learned, proofs: Tensor, *, device: str) -> Reconstruction:
        """Reconstruct the image behind each proof (IGF, Eq. 9).

        Args:
            learned: What `learn` returned.
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
        """Average the networks' images.

        Args:
            learned: What `learn` returned.
            features: Standardized features, `[n, k]`.
            device: "cpu" or "cuda".

        Returns:
            `[n, channels, height, width]` in [0, 1].
        """
        images = torch.zeros(len(features), *learned.shape)
        for network in learned.networks:
            # Built without storage, so that it draws no random weights.
            with torch.device("meta"):
                inverter = self.build_inverter(learned.features, learned.shape)
            inverter.load_state_dict(network.parameters, assign=True)
            images += invert(inverter, features, device=device) / len(learned.networks)
        return images

    def draw_sketch(self, dimension: int, generator: Generator) -> CountSketch | None:
        """Draw the sketch that shortens vectors before they are stored; None keeps them whole.

        Args:
            dimension: Length of the vectors.
            generator: The attack's randomness.
        """
        return None

    def probes(self, view: AuditorView) -> int:
        """The number of queries that `fit_extractors` makes besides those for training."""
        return 0

    def affordable(self, view: AuditorView) -> int:
        """The number of queries for each auxiliary image: `queries`, or fewer if the oracle limits them."""
        if view.remaining_queries is None:
            return self.queries
        probes, limit = self.probes(view), view.remaining_queries
        left = limit - probes if view.affords(probes) else limit
        return min(self.queries, 1 + left // len(view.auxiliary))

    def _train(
        self,
        features: Features,
        training_pairs: Callable[[int], ImagePairs],
        validation: ImagePairs,
        perceptual: VggFeatures | None,
        view: AuditorView,
        generator: Generator,
    ) -> tuple[tuple[Network, ...], History]:
        """Train the networks one after another; their histories are numbered from the second on."""
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
            # In the layout of a stored network, so that a loaded one computes in the same order, to the last bit.
            networks.append(
                Network({name: value.contiguous() for name, value in inverter.cpu().state_dict().items()})
            )
        return tuple(networks), history

    def _training_pairs(
        self, view: AuditorView, queries: Queries, features: Features, pairs: ImagePairs
    ) -> Callable[[int], ImagePairs]:
        """The pairs of each epoch: always the same, or new answers of a stochastic oracle to the same queries."""
        return refreshed_pairs(
            pairs,
            lambda: replace(pairs, features=query_again(view, queries, features)),
            refreshes=(self.refreshes or self.epochs) if view.stochastic_oracle else 1,
            epochs=self.epochs,
        )

    def _plan(self, device: str) -> TrainingPlan:
        return TrainingPlan(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            beta=self.beta,
            perceptual_batch=self.perceptual_batch,
            precision=self.precision,
            device=device,
        )

    def _split(self, queries: Queries, images: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Rows of the queries for training, and for validation: some images, without any of their variations."""
        order = torch.randperm(images, generator=generator)
        kept = int(images * self.validation)
        starts = range(0, len(queries), images)
        return torch.cat([order[kept:] + start for start in starts]), order[:kept]
