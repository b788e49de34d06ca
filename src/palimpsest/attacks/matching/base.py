"""Base class of the gradient-matching attacks: settings, and reconstruction from a server's view."""

from abc import abstractmethod
from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor

from palimpsest.attacks.auditor_view import Knowledge
from palimpsest.attacks.matching.adam import Adam, Sign
from palimpsest.attacks.matching.coordinates import Space, make_coordinates
from palimpsest.attacks.matching.distances import ObjectiveName
from palimpsest.attacks.matching.label_inference import INFERRING, LabelMode, believed_labels
from palimpsest.attacks.matching.lbfgs import LBFGS
from palimpsest.attacks.matching.noise import NoiseMode
from palimpsest.attacks.matching.priors import PriorName
from palimpsest.attacks.matching.problem import Batch
from palimpsest.attacks.matching.search import Descent, ObjectiveCheck, Search, SearchResult
from palimpsest.attacks.matching.setup import ProblemSetup
from palimpsest.attacks.server_view import BatchLabels, BatchReconstruction, ServerAttack, ServerView

OptimizerName = Literal["lbfgs", "adam", "adam-hard-sign", "adam-soft-sign"]
# Nats by which L-BFGS must lower a negative log-likelihood in 20 iterations. Less is no evidence for one image over
# another, while a hundredth of the value would be many nats, because the noise alone contributes half a nat for each
# coordinate.
_GAIN = 0.01
# Public images hardly vary in fine details, so in pixels the prior curves a million times more in some directions.
_TRIALS = 40
_SIGNS: dict[OptimizerName, Sign] = {"adam": "none", "adam-hard-sign": "hard", "adam-soft-sign": "soft"}


class MatchingAttack(ServerAttack):
    """Base class of the attacks that search for samples with the observed gradients."""

    labels: LabelMode = "known"
    """Source of the labels: known; inferred by counting, by iDLG's sign rule or from the difference of the gradients;
    probed as in GIAMU; or optimized with the images."""
    objective: ObjectiveName = "euclidean"
    """Distance between gradients: squared Euclidean or cosine."""
    optimizer: OptimizerName = "lbfgs"
    """L-BFGS, or Adam with the gradient, its sign, or a smoothed sign."""
    iterations: PositiveInt = 400
    """Number of steps of each search."""
    learning_rate: PositiveFloat = 0.1
    """Step size of Adam. L-BFGS chooses its step size by a line search."""
    learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Factor that Adam's step size is multiplied by after 3/8, 5/8 and 7/8 of the steps."""
    total_variation: NonNegativeFloat = 0.0
    """Weight of the images' total variation."""
    space: Space = "box"
    """Coordinates of the search: free pixels (clamped at the end), pixels in [0, 1], or scaled frequencies."""
    prior: PriorName | None = None
    """Start of each search: the mean public image, the one with the nearest gradient, the class mean or a blurred one.
    If omitted, noise."""
    restarts: PositiveInt = 1
    """Number of starts of each search; the attack keeps the result with the lowest objective."""
    noise: NoiseMode = "map"
    """Treatment of clipping and Gaussian noise whose settings the clients publish. Map adds a Gaussian prior of the
    public images and finds the most likely ones, discrepancy stops once the residual is as long as the noise, and
    ignored matches the noisy gradients exactly. Without such noise, all three are the same."""
    precision: Literal["float32", "float64"] = "float64"
    """Floating-point precision. L-BFGS stops early in float32."""

    @property
    def knowledge(self) -> frozenset[Knowledge]:
        """White-box knowledge, plus labels, public images and the noise's settings if the attack needs them."""
        knowledge = {Knowledge.ARCHITECTURE, Knowledge.PARAMETERS, Knowledge.BATCH_GRADIENTS}
        if self.labels == "known":
            knowledge.add(Knowledge.LABELS)
        if self.noise != "ignored":
            knowledge.add(Knowledge.NOISE)
        if (
            self.labels in INFERRING
            or self.space == "spectrum"
            or self.prior is not None
            or self.noise == "map"
        ):
            knowledge.add(Knowledge.PUBLIC)
        return frozenset(knowledge)

    def __call__(self, view: ServerView, *, generator: Generator) -> BatchReconstruction:
        """Reconstruct the forgotten samples of each batch.

        Args:
            view: The server's view.
            generator: Source of the attack's randomness.

        Returns:
            The reconstructed images with their labels, objectives and histories.

        Raises:
            DivergenceError: The objective of a batch is not finite at any start.
            KnowledgeError: `labels` is "known", but the view has no labels.
            ModelError: Labels are inferred, but the model has no last linear layer with a bias.
        """
        setup = self.make_setup(view, generator=generator)
        noise: NoiseMode = "ignored" if setup.mechanism is None else self.noise
        optimizer = self.make_optimizer()
        if isinstance(optimizer, LBFGS) and noise != "ignored":
            optimizer = replace(optimizer, gain=_GAIN, trials=_TRIALS)
        search = Descent(
            setup,
            self.objective,
            generator,
            optimizer=optimizer,
            coordinates=make_coordinates(self.space, setup.public),
            smoothness=self.total_variation,
            restarts=self.restarts,
            prior=self.prior,
            noise=noise,
        )
        stages = self.recover(search)
        forgotten, retained = stages["forgotten"], stages.get("retained")

        def flatten_batches(images: Tensor | None) -> Tensor:
            no_images = forgotten.images.new_empty(0, *setup.shape)
            return (no_images if images is None else images.flatten(0, 1)).float().cpu()

        return BatchReconstruction(
            images=flatten_batches(forgotten.images),
            labels=forgotten.labels,
            retained=flatten_batches(retained.images if retained else None),
            objectives=forgotten.minimum.values.cpu(),
            prior=flatten_batches(forgotten.start),
            history={name: stage.minimum.history.mean(dim=1).tolist() for name, stage in stages.items()},
            facts={
                f"labels_{self.labels}": 1.0,
                f"noise_{noise}": 1.0,
                **{f"objective_{name}": float(stage.minimum.values.mean()) for name, stage in stages.items()},
            },
        )

    def check_objective(
        self, view: ServerView, retained: Tensor, forgotten: Tensor, labels: BatchLabels
    ) -> dict[str, Tensor]:
        """Evaluate the objective at the true samples; it is zero if model, observation and loss are consistent.

        This checks the setup. The attack itself never receives the true samples.

        Args:
            view: The server's view.
            retained: The true retained images, `[b, n_r, channels, height, width]`.
            forgotten: The true forgotten images, `[b, n_f, channels, height, width]`.
            labels: The true classes of both.

        Returns:
            The objective of each stage without total variation, `[b]`, by the stage's name.
        """
        generator = torch.Generator()
        attack_with_labels = self.model_copy(update={"labels": "known"})
        setup = attack_with_labels.make_setup(
            replace(view, labels=labels, mechanism=None), generator=generator
        )
        assert setup.targets is not None, "known labels are targets"
        search = ObjectiveCheck(
            setup,
            self.objective,
            generator,
            truth=Batch(torch.cat([retained, forgotten], dim=1), setup.targets),
            coordinates=make_coordinates(self.space, setup.public),
        )
        return {name: stage.minimum.values for name, stage in self.recover(search).items()}

    def make_setup(self, view: ServerView, *, generator: Generator) -> ProblemSetup:
        """Convert the view to the attack's precision and determine the labels.

        Args:
            view: The server's view.
            generator: Source of the attack's randomness.

        Raises:
            KnowledgeError: `labels` is "known", but the view has no labels.
            ModelError: Labels are inferred, but the model has no last linear layer with a bias.
        """
        difference = self.difference(view)
        labels = believed_labels(view, self.labels, difference, generator=generator)
        if self.noise == "ignored":
            view = replace(view, mechanism=None)
        return ProblemSetup.from_view(view, difference, labels, dtype=getattr(torch, self.precision))

    def difference(self, view: ServerView) -> Tensor:
        """Estimate the mean gradient of the forgotten samples.

        Args:
            view: The server's view.

        Returns:
            One estimate for each batch, `[b, d]`.
        """
        return view.observation.difference

    @abstractmethod
    def recover(self, search: Search) -> dict[str, SearchResult]:
        """Run the attack's searches.

        Args:
            search: Finds samples whose gradients match the observed ones.

        Returns:
            The results by name, in the order of the searches: `forgotten`, and `retained` if the attack also
            reconstructs the retained samples.
        """

    def make_optimizer(self) -> LBFGS | Adam:
        """Create the optimizer that the settings select."""
        if self.optimizer == "lbfgs":
            return LBFGS(self.iterations)
        sign = _SIGNS[self.optimizer]
        return Adam(self.iterations, self.learning_rate, decay=self.learning_rate_decay, sign=sign)
