"""Bounds on what any attack on a proof could do, and tests of these bounds.

`Defense.release` describes a defense's randomness. The bounds hold given everything else that an attacker knows, such
as the two models: they are about the proof, not about what the models reveal.
"""

from palimpsest.bounds.bayes_error import BayesError, bayes_error
from palimpsest.bounds.channel import (
    OneRun,
    PairTest,
    compare_pair,
    farthest_pairs,
    pair_distances,
    run_canaries,
)
from palimpsest.bounds.empirical_epsilon import MeasuredEpsilon, measure_epsilon
from palimpsest.bounds.gaussian_privacy import gaussian_epsilon
from palimpsest.bounds.gram import centered_gram
from palimpsest.bounds.identification import candidate_success, joint_success, optimal_success
from palimpsest.bounds.one_run import one_run_epsilon
from palimpsest.bounds.prior import GaussianPrior, fit_prior
from palimpsest.bounds.sensitivity import Sensitivity
from palimpsest.bounds.trade_off import (
    GaussianStep,
    composed_success,
    gaussian_steps,
    gaussian_success,
    private_success,
)
from palimpsest.bounds.van_trees import VanTrees, van_trees

__all__ = [
    "BayesError",
    "GaussianPrior",
    "GaussianStep",
    "MeasuredEpsilon",
    "OneRun",
    "PairTest",
    "Sensitivity",
    "VanTrees",
    "bayes_error",
    "candidate_success",
    "centered_gram",
    "compare_pair",
    "composed_success",
    "farthest_pairs",
    "fit_prior",
    "gaussian_epsilon",
    "gaussian_steps",
    "gaussian_success",
    "joint_success",
    "measure_epsilon",
    "one_run_epsilon",
    "optimal_success",
    "pair_distances",
    "private_success",
    "run_canaries",
    "van_trees",
]
