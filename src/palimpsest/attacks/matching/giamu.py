"""GIAMU and FUIA: match an estimate of the forgotten samples' gradient in direction only."""

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from palimpsest.attacks.matching.base import MatchingAttack, OptimizerName
from palimpsest.attacks.matching.distances import ObjectiveName
from palimpsest.attacks.matching.problem import Term
from palimpsest.attacks.matching.search import Found, Search
from palimpsest.attacks.server_view import ServerView
from palimpsest.registry import ATTACKS


@ATTACKS.register("giamu")
class GIAMU(MatchingAttack):
    """Gradient inversion against machine unlearning: cosine distance, total variation, and the gradient's sign."""

    source: ClassVar[str] = "GIAMU, recovery of samples, exact and approximate unlearning"

    unlearning: Literal["exact", "approximate"] = "exact"
    """Exact: match the weighted difference of the batches' gradients. Approximate: match the change of the parameters,
    which is the forgotten samples' gradient where unlearning was one step of ascent on them alone."""
    objective: ObjectiveName = "cosine"
    """The distance of gradients: squared Euclidean or cosine."""
    optimizer: OptimizerName = "adam-hard-sign"
    """L-BFGS, or Adam with the gradient, its sign, or a soft sign."""
    iterations: PositiveInt = 10_000
    """Steps of each search."""
    learning_rate: PositiveFloat = 0.04
    """Adam's step size; L-BFGS searches for its own."""
    learning_rate_decay: float = 0.5
    """Adam: what the step size is multiplied by at 3/8, 5/8 and 7/8 of the way."""
    total_variation: NonNegativeFloat = 1e-2
    """Weight of the images' total variation."""
    restarts: PositiveInt = 5
    """Starts of each search; the attack keeps the one with the best objective."""

    def difference(self, view: ServerView) -> Tensor:
        """By the gradients or by the parameters; see `MatchingAttack.difference`."""
        if self.unlearning == "exact":
            return super().difference(view)
        seen = view.observation
        flat = seen.gradient(view.architecture).flatten
        return (flat(seen.after) - flat(seen.before)).expand(len(seen.gradients_before), -1)

    def recover(self, search: Search) -> dict[str, Found]:
        """One search; see `MatchingAttack.recover`."""
        scene = search.scene
        return {
            "forgotten": search.find("forgotten", [Term(scene.before, scene.difference, scene.forgotten)])
        }


@ATTACKS.register("fuia")
class FUIA(GIAMU):
    """Federated unlearning inversion: match the change of the global parameters, with the labels read from it.

    By the paper's abstract the forgotten samples' gradient is estimated from the difference of the parameters before
    and after unlearning; the search is taken from Inverting Gradients.
    """

    source: ClassVar[str] = "FUIA (arXiv 2502.14558), after its abstract"

    unlearning: Literal["exact", "approximate"] = "approximate"
    """Approximate: match the change of the parameters, as the paper does. Exact: as for `giamu`."""
    iterations: PositiveInt = 4800
    """Steps of each search."""
    learning_rate: PositiveFloat = 0.1
    """Adam's step size; L-BFGS searches for its own."""
    learning_rate_decay: float = 0.1
    """Adam: what the step size is multiplied by at 3/8, 5/8 and 7/8 of the way."""
    restarts: PositiveInt = 1
    """Starts of each search; the attack keeps the one with the best objective."""
