"""GIAMU and FUIA: match the direction of an estimate of the forgotten samples' gradient."""

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from palimpsest.attacks.matching.base import MatchingAttack, OptimizerName
from palimpsest.attacks.matching.distances import ObjectiveName
from palimpsest.attacks.matching.problem import Term
from palimpsest.attacks.matching.search import Search, SearchResult
from palimpsest.attacks.server_view import ServerView
from palimpsest.registry import ATTACKS


@ATTACKS.register("giamu")
class GIAMU(MatchingAttack):
    """Gradient inversion against machine unlearning: cosine distance, total variation, and the gradient's sign."""

    source: ClassVar[str] = "GIAMU, recovery of samples, exact and approximate unlearning"

    unlearning: Literal["exact", "approximate"] = "exact"
    """Exact: match the weighted difference of the batches' gradients. Approximate: match the change of the parameters,
    which is the forgotten samples' gradient if unlearning was one step of ascent on these samples."""
    objective: ObjectiveName = "cosine"
    """The distance of gradients: squared Euclidean or cosine."""
    optimizer: OptimizerName = "adam-hard-sign"
    """L-BFGS, or Adam with the gradient, its sign, or a soft sign."""
    iterations: PositiveInt = 10_000
    """Steps of each search."""
    learning_rate: PositiveFloat = 0.04
    """Adam's step size; L-BFGS finds its own."""
    learning_rate_decay: float = 0.5
    """Adam: factor of the step size at 3/8, 5/8 and 7/8 of the steps."""
    total_variation: NonNegativeFloat = 1e-2
    """Weight of the images' total variation."""
    restarts: PositiveInt = 5
    """Starts of each search; the attack keeps the one with the best objective."""

    def difference(self, view: ServerView) -> Tensor:
        """Estimate from the gradients or from the parameters; see `MatchingAttack.difference`."""
        if self.unlearning == "exact":
            return super().difference(view)
        observation = view.observation
        flatten = observation.gradient(view.architecture).flatten
        change = flatten(observation.after) - flatten(observation.before)
        return change.expand(len(observation.gradients_before), -1)

    def recover(self, search: Search) -> dict[str, SearchResult]:
        """Run one search; see `MatchingAttack.recover`."""
        setup = search.setup
        term = Term(setup.before, setup.difference, setup.forgotten)
        return {"forgotten": search.find("forgotten", [term])}


@ATTACKS.register("fuia")
class FUIA(GIAMU):
    """Federated unlearning inversion: match the change of the global parameters.

    After the paper's abstract, the forgotten samples' gradient is estimated from the difference of the parameters
    before and after unlearning. The search is that of Inverting Gradients.
    """

    source: ClassVar[str] = "FUIA (arXiv 2502.14558), after its abstract"

    unlearning: Literal["exact", "approximate"] = "approximate"
    """Approximate: match the change of the parameters, as the paper does. Exact: as for `giamu`."""
    iterations: PositiveInt = 4800
    """Steps of each search."""
    learning_rate: PositiveFloat = 0.1
    """Adam's step size; L-BFGS finds its own."""
    learning_rate_decay: float = 0.1
    """Adam: factor of the step size at 3/8, 5/8 and 7/8 of the steps."""
    restarts: PositiveInt = 1
    """Starts of each search; the attack keeps the one with the best objective."""
