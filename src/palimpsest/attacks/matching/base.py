"""What all gradient-matching attacks have in common: settings, and the way from a view to a reconstruction."""

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
from palimpsest.attacks.matching.search import Descent, Found, Rehearsal, Search
from palimpsest.attacks.matching.setup import Scene
from palimpsest.attacks.server_view import BatchLabels, BatchReconstruction, ServerAttack, ServerView

OptimizerName = Literal["lbfgs", "adam", "adam-hard-sign", "adam-soft-sign"]
_SIGNS: dict[OptimizerName, Sign] = {"adam": "none", "adam-hard-sign": "hard", "adam-soft-sign": "soft"}


class MatchingAttack(ServerAttack):
    """Base of the attacks that search for a batch with the observed gradient."""

    labels: LabelMode = "known"
    """The samples' classes: known; inferred by counting, by iDLG's signs or by the gradients' difference; probed by
    GIAMU's black box; or optimised."""
    objective: ObjectiveName = "euclidean"
    """The distance of gradients: squared Euclidean or cosine."""
    optimizer: OptimizerName = "lbfgs"
    """L-BFGS, or Adam with the gradient, its sign, or a soft sign."""
    iterations: PositiveInt = 400
    """Steps of each search."""
    learning_rate: PositiveFloat = 0.1
    """Adam's step size; L-BFGS searches for its own."""
    learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Adam: what the step size is multiplied by at 3/8, 5/8 and 7/8 of the way."""
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
        """White box; labels and public images only where a setting asks for them."""
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
        """
        scene = self.scene(view, generator=generator)
        search = Descent(
            scene,
            self.objective,
            generator,
            optimizer=self.descent(),
            coordinates=make_coordinates(self.space, scene.public),
            smoothness=self.total_variation,
            restarts=self.restarts,
        )
        stages = self.recover(search)
        leave, stay = stages["forgotten"], stages.get("remaining")

        def flat(images: Tensor | None) -> Tensor:
            none = leave.images.new_empty(0, *scene.shape)
            return (none if images is None else images.flatten(0, 1)).float().cpu()

        return BatchReconstruction(
            images=flat(leave.images),
            labels=leave.labels,
            remaining=flat(stay.images if stay else None),
            objectives=leave.minimum.values.cpu(),
            prior=flat(leave.start),
            curves={name: stage.minimum.curve.mean(dim=1).tolist() for name, stage in stages.items()},
            facts={
                f"labels_{self.labels}": 1.0,
                **{f"objective_{name}": float(stage.minimum.values.mean()) for name, stage in stages.items()},
            },
        )

    def rehearse(
        self, view: ServerView, remaining: Tensor, forgotten: Tensor, labels: BatchLabels
    ) -> dict[str, Tensor]:
        """What the objective says of the true samples: zero, if model, observation and loss fit together.

        This is for a check of one's own set-up, and the only place where an attack's objective meets the truth.

        Args:
            view: What the server holds.
            remaining: The true images that stay, `[b, n_r, channels, height, width]`.
            forgotten: The true forgotten images, `[b, n_f, channels, height, width]`.
            labels: Their classes.

        Returns:
            For each stage of the attack the objective without total variation, `[b]`.
        """
        generator = torch.Generator()
        knowing = self.model_copy(update={"labels": "known"})
        scene = knowing.scene(replace(view, labels=labels), generator=generator)
        assert scene.targets is not None, "known labels are targets"
        search = Rehearsal(
            scene,
            self.objective,
            generator,
            truth=Batch(torch.cat([remaining, forgotten], dim=1), scene.targets),
            coordinates=make_coordinates(self.space, scene.public),
        )
        return {name: stage.minimum.values for name, stage in self.recover(search).items()}

    def scene(self, view: ServerView, *, generator: Generator) -> Scene:
        """The view in the attack's precision, with what it believes of the labels.

        Args:
            view: What the server holds.
            generator: The attack's randomness.
        """
        difference = self.difference(view)
        labels = believed_labels(view, self.labels, difference, generator=generator)
        return Scene.of(view, difference, labels, dtype=getattr(torch, self.precision))

    def difference(self, view: ServerView) -> Tensor:
        """The attack's estimate of the forgotten samples' mean gradient, `[b, d]`.

        Args:
            view: What the server holds.
        """
        return view.observation.difference

    @abstractmethod
    def recover(self, search: Search) -> dict[str, Found]:
        """The attack itself.

        Args:
            search: What the server holds, and how samples are found.

        Returns:
            What was `forgotten`, and what is `remaining` if the attack reconstructs it, in the order of the search.
        """

    def descent(self) -> LBFGS | Adam:
        """The optimiser that the settings name."""
        if self.optimizer == "lbfgs":
            return LBFGS(self.iterations)
        sign = _SIGNS[self.optimizer]
        return Adam(self.iterations, self.learning_rate, decay=self.learning_rate_decay, sign=sign)
