"""What the learned attacks share: ask, read out, train an inverter, invert the proofs (IGF, section 3.2)."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn

from palimpsest.attacks.auditor_view import Attack, AuditorView, Knowledge, Reconstruction
from palimpsest.attacks.learned.augmentation import Queries, draw_queries
from palimpsest.attacks.learned.ddp import train_on_several
from palimpsest.attacks.learned.features import Features, Readouts, ask_again, fit_features
from palimpsest.attacks.learned.perceptual_loss import load_vgg_features
from palimpsest.attacks.learned.precision import Precision
from palimpsest.attacks.learned.refinement import Consistency
from palimpsest.attacks.learned.training import Pairs, Schedule, TrainingPlan, invert, train_inverter
from palimpsest.randomness import fork
from palimpsest.reduction import CountSketch
from palimpsest.storage import Parameters, Record


@dataclass(frozen=True)
class Network(Record):
    """An inversion network's weights and buffers."""

    parameters: Parameters


@dataclass(frozen=True)
class Learned(Record):
    """What a learned attack needs to turn any proof back into an image.

    Args:
        features: What is read out of a proof.
        networks: The inversion networks, whose images are averaged.
        shape: Channels, height and width of the images.
        curves: Their losses over the epochs.
        consistency: What moves their images to where they agree with the proofs; one or none.
    """

    features: Features
    networks: tuple[Network, ...]
    shape: tuple[int, int, int]
    curves: dict[str, list[float]]
    consistency: tuple[Consistency, ...] = ()


class LearnedInversion(Attack):
    """Base of the attacks that learn, from the auditor's own queries, to turn a proof back into its image."""

    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    )

    queries: PositiveInt = 1
    """Queries for each auxiliary image: itself, then mirrored, then also shifted and brightened."""
    mirrored: bool = True
    """Whether such variations are mirrored."""
    mixed: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the shifted variations that are blended with another image."""
    inverters: PositiveInt = 1
    """Networks that are trained, each from its own start; their images are averaged."""
    beta: NonNegativeFloat = 0.01
    """Weight of the perceptual distance (Eq. 6); 0 needs no VGG weights."""
    perceptual_batch: PositiveInt | None = None
    """Measure that distance on so many images of each step, which estimates Eq. 8 at less cost; none for all."""
    vgg_weights: Path | None = None
    """A safetensors file with VGG-16's first four convolutions; none for torchvision's."""
    epochs: PositiveInt = 100
    """Passes over the queries."""
    batch_size: Annotated[int, Field(ge=2)] = 256
    """Images in a step (the paper: 256)."""
    learning_rate: PositiveFloat = 1e-4
    """Adam's learning rate (the paper: 1e-4)."""
    schedule: Schedule = "constant"
    """Keep the rate, or let it rise to that height in a tenth of the steps and fall to nothing (one-cycle)."""
    precision: Precision = "auto"
    """Number format of the network's products; auto takes bfloat16 where the processor multiplies it."""
    devices: PositiveInt = 1
    """GPUs that share each step, or on a CPU processes; where answers vary there is one."""
    refreshes: PositiveInt | None = None
    """Where answers vary, as through a random defence: how often to ask, spread over the epochs; none for each one."""
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the auxiliary images kept aside for the validation curve; it chooses nothing."""

    @abstractmethod
    def learn_readouts(
        self, vectors: Tensor, labels: Tensor, view: AuditorView, generator: Generator
    ) -> Readouts:
        """Learn, from the auxiliary images' gradient differences `[m, d]`, what to read out of a vector."""

    @abstractmethod
    def build_inverter(self, features: Features, shape: tuple[int, int, int]) -> nn.Module:
        """A network from features to images of this shape, with fresh weights."""

    def __call__(self, view: AuditorView, *, generator: Generator) -> Reconstruction:
        """Learn, then reconstruct the image behind each proof.

        Args:
            view: Proofs, oracle and auxiliary images.
            generator: The attack's randomness.

        Returns:
            One image for each proof, in the proofs' order.
        """
        return self.invert(self.learn(view, generator=generator), view.proofs, device=view.device)

    def learn(self, view: AuditorView, *, generator: Generator) -> Learned:
        """Learn from the oracle's answers; no proof is looked at.

        Args:
            view: Oracle and auxiliary images. Where its answers vary, they are asked for anew in each epoch.
            generator: The attack's randomness.
        """
        # Weights that can't be had shall be known before an hour is spent.
        perceptual = load_vgg_features(self.vgg_weights) if self.beta > 0 else None
        queries = draw_queries(
            view.auxiliary,
            self.affordable(view),
            mixed=self.mixed,
            mirrored=self.mirrored,
            generator=generator,
        )
        features, first = fit_features(
            view,
            queries,
            lambda vectors, labels: self.learn_readouts(vectors, labels, view, generator),
            sketch=self.draw_sketch(view.oracle.dimension, generator),
        )
        learned, aside = self._split(queries, len(view.auxiliary), generator)
        validation = Pairs(first, queries.levels, aside)
        lesson = self._lessons(view, queries, features, Pairs(first, queries.levels, learned))
        curves: dict[str, list[float]] = {}
        networks = []
        for index in range(self.inverters):
            with torch.random.fork_rng():
                torch.manual_seed(fork(generator))
                inverter = self.build_inverter(features, view.auxiliary.shape)
            several = self.devices > 1 and not view.answers_vary
            train = partial(train_on_several, devices=self.devices) if several else train_inverter
            told = train(
                inverter, lesson, validation, perceptual, self._plan(view.device), generator=generator
            )
            curves |= {f"{name}_{index + 1}" if index else name: curve for name, curve in told.items()}
            # As they are stored: a network that is read back is to compute in the same order, to the last bit.
            networks.append(
                Network({name: value.contiguous() for name, value in inverter.cpu().state_dict().items()})
            )
        found = Learned(features, tuple(networks), view.auxiliary.shape, curves)
        if view.answers_vary:
            return found
        return self.learn_more(found, Pairs(first, queries.levels, learned), validation, view, generator)

    def learn_more(
        self, learned: Learned, pairs: Pairs, validation: Pairs, view: AuditorView, generator: Generator
    ) -> Learned:
        """Learn from the finished networks' own errors; here nothing.

        Args:
            learned: The networks.
            pairs: What they learned from.
            validation: What they did not.
            view: What the auditor holds.
            generator: The attack's randomness.
        """
        return learned

    def correct(self, learned: Learned, images: Tensor, features: Tensor, *, device: str) -> Tensor:
        """Move the networks' images to where they agree with the features `[n, k]`; here they are left."""
        return images

    def invert(self, learned: Learned, proofs: Tensor, *, device: str) -> Reconstruction:
        """Reconstruct the image behind each proof (IGF, Eq. 9).

        Args:
            learned: What `learn` gave.
            proofs: Gradient differences, `[n, d]`.
            device: Where it is computed.

        Returns:
            One image for each proof, in the proofs' order.
        """
        features = torch.cat([learned.features.transform(rows) for rows in proofs.split(256)])
        images = self.render(learned, features, device=device)
        images = self.correct(learned, images, features, device=device)
        return Reconstruction(images=images, curves=learned.curves, facts=learned.features.facts)

    def render(self, learned: Learned, features: Tensor, *, device: str) -> Tensor:
        """The images `[n, channels, height, width]` of standardised features `[n, k]`; see `invert`."""
        images = torch.zeros(len(features), *learned.shape)
        for network in learned.networks:
            # Without numbers of its own, so that building it draws none.
            with torch.device("meta"):
                inverter = self.build_inverter(learned.features, learned.shape)
            inverter.load_state_dict(network.parameters, assign=True)
            images += invert(inverter, features, device=device) / len(learned.networks)
        return images

    def _lessons(
        self, view: AuditorView, queries: Queries, features: Features, first: Pairs
    ) -> Callable[[int], Pairs]:
        """What is learned from in each epoch: always the same, or other answers to the same queries."""
        if not view.answers_vary:
            return lambda epoch: first
        refreshes = min(self.refreshes or self.epochs, self.epochs)
        current = {0: first}

        def lesson(epoch: int) -> Pairs:
            number = epoch * refreshes // self.epochs
            if number not in current:
                current.clear()
                current[number] = replace(first, features=ask_again(view, queries, features))
            return current[number]

        return lesson

    def draw_sketch(self, dimension: int, generator: Generator) -> CountSketch | None:
        """What makes vectors short before they are kept; none where an attack reads their own coordinates."""
        return None

    def probes(self, view: AuditorView) -> int:
        """Samples that reading out needs answers for, besides the queries."""
        return 0

    def affordable(self, view: AuditorView) -> int:
        """Queries for each auxiliary image, as many of those wanted as the oracle will answer."""
        if view.further is None:
            return self.queries
        probes = self.probes(view)
        left = view.further - probes if view.affords(probes) else view.further
        return min(self.queries, 1 + left // len(view.auxiliary))

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
        """Which queries are learned from, and which are kept aside: some images, with none of their variations."""
        order = torch.randperm(images, generator=generator)
        kept = int(images * self.validation)
        starts = range(0, len(queries), images)
        return torch.cat([order[kept:] + start for start in starts]), order[:kept]
