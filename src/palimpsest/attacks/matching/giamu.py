"""GIAMU and FUIA: search for images whose gradient has the direction of the forgotten samples' gradient."""

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor

from palimpsest.attacks.matching.base import MatchingAttack, OptimizerName
from palimpsest.attacks.matching.distances import ObjectiveName
from palimpsest.attacks.matching.problem import Term
from palimpsest.attacks.matching.search import Search, SearchResult
from palimpsest.attacks.matching.setup import ProblemSetup
from palimpsest.attacks.server_view import ServerView
from palimpsest.registry import ATTACKS


@ATTACKS.register("giamu")
class GIAMU(MatchingAttack):
    """Gradient inversion against machine unlearning: cosine distance, total variation, and Adam on signs.

    The paper's setting is centralized: the gradient comes from two fine-tuned models. Here it comes from the clients'
    gradients, or from the parameters. The authors' code ranks the restarts by a forward pass without the network's
    normalization; here the objective ranks them.
    """

    source: ClassVar[str] = "GIAMU, recovery of samples, exact and approximate unlearning"

    unlearning: Literal["exact", "approximate"] = "exact"
    """Target of the search. Exact: the weighted difference of the batches' gradients. Approximate: the change of the
    parameters, which is a multiple of the forgotten samples' gradient after one step of gradient ascent on them."""
    objective: ObjectiveName = "cosine"
    """Distance between gradients: squared Euclidean or cosine."""
    optimizer: OptimizerName = "adam-hard-sign"
    """L-BFGS, or Adam with the gradient, its sign, or a smoothed sign."""
    iterations: PositiveInt = 10_000
    """Number of steps of each search."""
    learning_rate: PositiveFloat = 0.04
    """Step size of Adam. L-BFGS chooses its step size by a line search."""
    learning_rate_decay: float = 0.5
    """Factor that Adam's step size is multiplied by after 3/8, 5/8 and 7/8 of the steps."""
    total_variation: NonNegativeFloat = 1e-2
    """Weight of the images' total variation."""
    restarts: PositiveInt = 5
    """Number of starts of each search; the attack keeps the result with the lowest objective."""

    def make_setup(self, view: ServerView, *, generator: Generator) -> ProblemSetup:
        """Convert the view; the change of the parameters has no noise. See `MatchingAttack.make_setup`."""
        if self.unlearning == "approximate":
            view = replace(view, mechanism=None)
        return super().make_setup(view, generator=generator)

    def difference(self, view: ServerView) -> Tensor:
        """Estimate the gradient from the gradients or the parameters; see `MatchingAttack.difference`."""
        if self.unlearning == "exact":
            return super().difference(view)
        observation = view.observation
        flatten = observation.gradient(view.architecture).flatten
        change = flatten(observation.after) - flatten(observation.before)
        return change.expand(len(observation.gradients_before), -1)

    def recover(self, search: Search) -> dict[str, SearchResult]:
        """Run one search; see `MatchingAttack.recover`."""
        setup = search.setup
        term = Term(setup.before, setup.difference, setup.forgotten, noise=setup.difference_noise)
        return {"forgotten": search.find("forgotten", [term])}


@ATTACKS.register("fuia")
class FUIA(GIAMU):
    """Variant of federated unlearning inversion (FUIA): match the change of the global parameters.

    As in the paper, the forgotten samples' gradient is estimated from the parameters before and after unlearning. The
    estimate is the whole change here, and the search is the one of Inverting Gradients. It can only work after
    approximate unlearning by gradient ascent: after retraining, the change is not the gradient of any sample.
    """

    source: ClassVar[str] = "a variant of FUIA (arXiv 2502.14558), after its abstract"

    unlearning: Literal["exact", "approximate"] = "approximate"
    """Target of the search. Approximate: the change of the parameters, as in the paper. Exact: as for `giamu`."""
    iterations: PositiveInt = 4800
    """Number of steps of each search."""
    learning_rate: PositiveFloat = 0.1
    """Step size of Adam. L-BFGS chooses its step size by a line search."""
    learning_rate_decay: float = 0.1
    """Factor that Adam's step size is multiplied by after 3/8, 5/8 and 7/8 of the steps."""
    restarts: PositiveInt = 1
    """Number of starts of each search; the attack keeps the result with the lowest objective."""
