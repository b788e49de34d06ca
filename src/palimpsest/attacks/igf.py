"""Inverting Gradient difference to Forgotten data (IGF, arXiv 2505.11097, section 3.2)."""

from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor

from palimpsest.attacks.features import Features, ReductionName, fit_features
from palimpsest.attacks.inversion_training import Pairs, Precision, TrainingPlan, invert, train_inverter
from palimpsest.attacks.inverter import PixelShuffleInverter
from palimpsest.attacks.perceptual import load_vgg_features
from palimpsest.attacks.view import Attack, AuditorView, Knowledge, Reconstruction
from palimpsest.randomness import fork
from palimpsest.registry import ATTACKS


@ATTACKS.register("igf")
class IGF(Attack):
    """Learn, on auxiliary images, to turn a projected gradient difference back into its image."""

    source: ClassVar[str] = "IGF, section 3.2, Eqs. 3 to 9, and appendix D"
    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    )

    reduction: ReductionName = "svd"
    """How a difference is made small: centred SVD (Eqs. 4, 5), feature hashing (Table 5), or not at all."""
    explained_variance: Annotated[float, Field(gt=0, le=1)] = 0.95
    """SVD: the share nu of the variance that is kept (Eq. 5)."""
    components: PositiveInt | None = None
    """SVD: keep no more than so many directions."""
    hash_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Hashing: bins per parameter (the paper's ResNet20: 0.5)."""
    width: Annotated[int, Field(ge=8, multiple_of=8)] = 256
    """Channels of the inversion network's first map."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Share of the features hidden in each training step."""
    beta: NonNegativeFloat = 0.01
    """Weight of the perceptual distance (Eq. 6); 0 needs no VGG weights."""
    perceptual_batch: PositiveInt | None = None
    """Measure that distance on so many images of each step, which estimates Eq. 8 at less cost; none for all."""
    vgg_weights: Path | None = None
    """A safetensors file with VGG-16's first four convolutions; none for torchvision's."""
    epochs: PositiveInt = 100
    """Passes over the auxiliary images."""
    batch_size: Annotated[int, Field(ge=2)] = 256
    """Images in a step (the paper: 256)."""
    learning_rate: PositiveFloat = 1e-4
    """Adam's learning rate (the paper: 1e-4)."""
    precision: Precision = "auto"
    """Number format of the network's products; auto takes bfloat16 where the processor multiplies it."""
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the auxiliary images kept aside for the validation curve; it chooses nothing."""

    def __call__(self, view: AuditorView, *, generator: Generator) -> Reconstruction:
        """Reconstruct the image behind each proof.

        Args:
            view: Proofs, oracle and auxiliary images.
            generator: The attack's randomness.

        Returns:
            One image for each proof, in the proofs' order.
        """
        # Weights that can't be had shall be known before an hour is spent.
        perceptual = load_vgg_features(self.vgg_weights) if self.beta > 0 else None
        features = fit_features(
            view,
            reduction=self.reduction,
            explained_variance=self.explained_variance,
            components=self.components,
            hash_rate=self.hash_rate,
            generator=generator,
        )
        pairs, validation = self._split(features, view.auxiliary.images, generator)
        with torch.random.fork_rng():
            torch.manual_seed(fork(generator))
            inverter = PixelShuffleInverter(
                pairs.features.shape[1],
                view.auxiliary.shape,
                width=self.width,
                dropout=self.dropout,
            )
        plan = TrainingPlan(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            beta=self.beta,
            perceptual_batch=self.perceptual_batch,
            precision=self.precision,
            device=view.device,
        )
        curves = train_inverter(inverter, pairs, validation, perceptual, plan, generator=generator)
        images = invert(inverter, features.transform(view.proofs), device=view.device)
        return Reconstruction(images=images, curves=curves, facts=features.facts)

    def _split(self, features: Features, images: Tensor, generator: Generator) -> tuple[Pairs, Pairs]:
        order = torch.randperm(len(images), generator=generator)
        kept = int(len(images) * self.validation)
        aside, learned = order[:kept], order[kept:]
        return (
            Pairs(features.auxiliary[learned], images[learned]),
            Pairs(features.auxiliary[aside], images[aside]),
        )
