"""Base of the gradient-matching attacks: settings, and the path from a view to a reconstruction."""

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
from palimpsest.attacks.matching.problem import Batch
from palimpsest.attacks.matching.search import Descent, ObjectiveCheck, Search, SearchResult
from palimpsest.attacks.matching.setup import ProblemSetup
from palimpsest.attacks.server_view import BatchLabels, BatchReconstruction, ServerAttack, ServerView

OptimizerName = Literal["lbfgs", "adam", "adam-hard-sign", "adam-soft-sign"]
_SIGNS: dict[OptimizerName, Sign] = {"adam": "none", "adam-hard-sign": "hard", "adam-soft-sign": "soft"}


class MatchingAttack(ServerAttack):
    """Base of the attacks that search for a batch with the observed gradient."""

    labels: LabelMode = "known"
    """The samples' classes: known; inferred by counting, by iDLG's signs or by the gradients' difference; probed by
    GIAMU's black box; or optimized."""
    objective: ObjectiveName = "euclidean"
    """The distance of gradients: squared Euclidean or cosine."""
    optimizer: OptimizerName = "lbfgs"
    """L-BFGS, or Adam with the gradient, its sign, or a soft sign."""
    iterations: PositiveInt = 400
    """Steps of each search."""
    learning_rate: PositiveFloat = 0.1
    """Adam's step size; L-BFGS finds its own."""
    learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Adam: factor of the step size at 3/8, 5/8 and 7/8 of the steps."""
    total_variation: NonNegativeFloat = 0.0
    """Weight of the images' total variation."""
    space: Space = "box"
    """Search pixels freely (clamped at the end), pixels kept in [0, 1], or frequencies scaled as in public images."""
    restarts: PositiveInt = 1
    """Starts of each search; the attack keeps the one with the best objective."""
    precision: Literal["float32", "float64"] = "float64"
    """Number format: L-BFGS stops early in float32."""

    @property
    def knowledge(self) -> frozenset[Knowledge]:
        """White box; labels and public images only if a setting needs them."""
        needed = {Knowledge.ARCHITECTURE, Knowledge.PARAMETERS, Knowledge.BATCH_GRADIENTS}
        if self.labels == "known":
            needed.add(Knowledge.LABELS)
        if self.labels in INFERRING or self.space == "spectrum" or self.uses_public:
            needed.add(Knowledge.PUBLIC)
        return frozenset(needed)

    @property
    def uses_public(self) -> bool:
        """Whether the attack starts from public images."""
        return False

    def __call__(self, view: ServerView, *, generator: Generator) -> BatchReconstruction:
        """Reconstruct the forgotten samples of each batch.

        Args:
            view: What the server holds.
            generator: The attack's randomness.

        Raises:
            DivergenceError: The objective of a batch is not finite at any start.
            KnowledgeError: The attack knows the labels, and the view lacks them.
            ModelError: Labels are inferred, and the model has no last linear layer with a bias.
        """
        setup = self.make_setup(view, generator=generator)
        search = Descent(
            setup,
            self.objective,
            generator,
            optimizer=self.make_optimizer(),
            coordinates=make_coordinates(self.space, setup.public),
            smoothness=self.total_variation,
            restarts=self.restarts,
        )
        stages = self.recover(search)
        forgotten, retained = stages["forgotten"], stages.get("retained")

        def flat(images: Tensor | None) -> Tensor:
            empty = forgotten.images.new_empty(0, *setup.shape)
            return (empty if images is None else images.flatten(0, 1)).float().cpu()

        return BatchReconstruction(
            images=flat(forgotten.images),
            labels=forgotten.labels,
            retained=flat(retained.images if retained else None),
            objectives=forgotten.minimum.values.cpu(),
            prior=flat(forgotten.start),
            history={name: stage.minimum.history.mean(dim=1).tolist() for name, stage in stages.items()},
            facts={
                f"labels_{self.labels}": 1.0,
                **{f"objective_{name}": float(stage.minimum.values.mean()) for name, stage in stages.items()},
            },
        )

    def check_objective(
        self, view: ServerView, retained: Tensor, forgotten: Tensor, labels: BatchLabels
    ) -> dict[str, Tensor]:
        """Evaluate the objective at the true samples: it is zero if model, observation, and loss fit together.

        Only a check of the setup calls this; no attack receives the true samples.

        Args:
            view: What the server holds.
            retained: The true retained images, `[b, n_r, channels, height, width]`.
            forgotten: The true forgotten images, `[b, n_f, channels, height, width]`.
            labels: Their classes.

        Returns:
            For each stage of the attack the objective without total variation, `[b]`.
        """
        generator = torch.Generator()
        with_labels = self.model_copy(update={"labels": "known"})
        setup = with_labels.make_setup(replace(view, labels=labels), generator=generator)
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
        """Convert the view to the attack's precision, and infer the labels.

        Args:
            view: What the server holds.
            generator: The attack's randomness.
        """
        difference = self.difference(view)
        labels = believed_labels(view, self.labels, difference, generator=generator)
        return ProblemSetup.from_view(view, difference, labels, dtype=getattr(torch, self.precision))

    def difference(self, view: ServerView) -> Tensor:
        """Estimate the mean gradient of the forgotten samples, `[b, d]`.

        Args:
            view: What the server holds.
        """
        return view.observation.difference

    @abstractmethod
    def recover(self, search: Search) -> dict[str, SearchResult]:
        """Run the searches of the attack.

        Args:
            search: Finds samples that explain observed gradients.

        Returns:
            The samples by name, in the order of the searches: `forgotten`, and `retained` if the attack reconstructs
            the retained samples.
        """

    def make_optimizer(self) -> LBFGS | Adam:
        """Make the optimizer that the settings name."""
        if self.optimizer == "lbfgs":
            return LBFGS(self.iterations)
        sign = _SIGNS[self.optimizer]
        return Adam(self.iterations, self.learning_rate, decay=self.learning_rate_decay, sign=sign)
