"""Cocktail Party Attack: separation of the inputs that the gradient of a linear layer mixes, as independent sources."""

from typing import ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor

from palimpsest.attacks.auditor_view import Knowledge
from palimpsest.attacks.disaggregation.batches import KNOWLEDGE, Batches, Samples, Target, with_constant
from palimpsest.attacks.disaggregation.first_layer import FirstLayer, find_first_layer
from palimpsest.attacks.disaggregation.low_rank import LowRank, factorize
from palimpsest.attacks.disaggregation.search import check_size
from palimpsest.attacks.disaggregation.unmixing import Unmixing, whiten
from palimpsest.attacks.server_view import BatchReconstruction, ServerAttack, ServerView
from palimpsest.progress import progress_line
from palimpsest.registry import ATTACKS
from palimpsest.storage import Parameters


@ATTACKS.register("cocktail-party")
class CocktailParty(ServerAttack):
    """Separate the samples of a batch as independent sources, if the model begins with a linear layer.

    Each unit's gradient is a mixture of the batch's images. The attack searches for the mixtures of these mixtures that
    look like single images: with little total variation, far from normally distributed, and not much correlated. It
    needs no ReLU and no forward pass, and is not exact. The gradient of the bias gives sign and brightness. Attacks on
    later layers of convolutional networks, through features, are not included.
    """

    source: ClassVar[str] = "Kariyappa et al. 2023, section 4"

    target: Target = "difference"
    """Gradient to take apart. difference takes the weighted difference of both gradients for that of the forgotten
    samples, which is exact for equal models. batch separates all samples of the gradient before unlearning, of which
    those that are not in the other gradient are the forgotten ones. stages subtracts the reconstructed retained
    samples first, whose errors then spoil the forgotten ones."""
    iterations: PositiveInt = 2000
    """Number of steps of each search."""
    learning_rate: PositiveFloat = 0.01
    """Step size of Adam."""
    negentropy: NonNegativeFloat = 1.0
    """Weight of the negentropy of the sources, their distance from a normal distribution, which is maximized."""
    total_variation: NonNegativeFloat = 1.0
    """Weight of the total variation of the sources as images of variance 1."""
    independence: NonNegativeFloat = 0.03
    """Weight of the penalty on correlated sources, the mean of exp(temperature * cosine) - 1."""
    temperature: PositiveFloat = 5.0
    """Steepness of the penalty on correlated sources."""
    restarts: PositiveInt = 1
    """Number of starts of each search; the attack keeps the result with the lowest objective."""

    @property
    def knowledge(self) -> frozenset[Knowledge]:
        """White-box knowledge, and public images, which replace samples that a gradient of lower rank lacks."""
        return KNOWLEDGE

    def __call__(self, view: ServerView, *, generator: Generator) -> BatchReconstruction:
        """Reconstruct the forgotten samples of each batch.

        Args:
            view: The server's view.
            generator: Source of the attack's randomness.

        Returns:
            The images with their labels. The mean public image stands for a sample that a gradient of lower rank lacks.

        Raises:
            ModelError: The model does not begin with a linear layer on the flattened image, or the layer has fewer
                units than a batch has samples.
        """
        layer = find_first_layer(
            view.architecture, view.observation.before, view.public.shape, attack="cocktail-party"
        )
        batches = Batches(view, layer, self.target)
        unmixing = Unmixing(
            iterations=self.iterations,
            learning_rate=self.learning_rate,
            negentropy=self.negentropy,
            total_variation=self.total_variation,
            independence=self.independence,
            temperature=self.temperature,
            restarts=self.restarts,
        )
        objectives: list[float] = []
        with progress_line("separate sources", batches.gradients * self.iterations) as line:

            def separate(gradient: Tensor, _: Parameters, count: int) -> Samples:
                check_size(gradient, count)
                factors = factorize(gradient, count)
                if factors.rank == 0:
                    return Samples.none(gradient)
                whitened = whiten(factors.right[:, :-1])
                matrix, objective = unmixing.run(
                    whitened, lambda sources: _variation(sources, layer), generator, line
                )
                objectives.append(objective)
                return _scale(matrix @ whitened.transform, factors)

            reconstruction = batches.reconstruct(separate)
        reconstruction.facts["objective"] = sum(objectives) / max(1, len(objectives))
        return reconstruction


def _variation(sources: Tensor, layer: FirstLayer) -> Tensor:
    """Return the total variation of each source as an image, as a mean over its pixels, `[p, k]`."""
    images = (sources / (layer.scale / layer.scale.abs().mean())).unflatten(2, layer.shape)
    return sum(
        (images.diff(dim=axis).abs().mean(dim=(-3, -2, -1)) for axis in (-2, -1) if images.shape[axis] > 1),
        sources.new_zeros(sources.shape[:2]),
    )


def _scale(unmixing: Tensor, factors: LowRank) -> Samples:
    """Scale the sources such that the input of the bias is 1, and find the gradients that explain the layer's best."""
    rows = unmixing @ factors.right
    constant = rows[:, -1:]
    inputs = rows[:, :-1] / torch.where(constant.abs() < 1e-12, torch.full_like(constant, 1e-12), constant)
    mixed = with_constant(inputs) @ factors.right.T
    gradients = torch.linalg.lstsq(mixed.T, (factors.left * factors.noise[:, None]).T).solution
    return Samples(inputs, gradients)
