"""Membership tests on shadow federations: LiRA, RMIA, U-LiRA, RULI, and attacks by who sees both models or proofs."""

from palimpsest.membership.assessment import MOST_EXPOSED, Assessment, Result, assess
from palimpsest.membership.evidence import Evidence, View
from palimpsest.membership.inference import TESTS, MembershipTest, applicable_tests, membership_scores
from palimpsest.membership.lira import fit_normal, lira_offline, lira_online
from palimpsest.membership.pool import Pairs, Pool, draw_splits, make_pool
from palimpsest.membership.proof_channel import ProofReadings, compare_with_proofs
from palimpsest.membership.rmia import rmia
from palimpsest.membership.ruli import ruli
from palimpsest.membership.shadows import (
    Answers,
    Split,
    assess_with_shadows,
    make_splits,
    train_shadow,
    unlearn_shadow,
)
from palimpsest.membership.update_aware import joint_ratio, update_attack, update_features
from palimpsest.metrics.membership_signals import confidence, loss, scaled_confidence

__all__ = [
    "MOST_EXPOSED",
    "TESTS",
    "Answers",
    "Assessment",
    "Evidence",
    "MembershipTest",
    "Pairs",
    "Pool",
    "ProofReadings",
    "Result",
    "Split",
    "View",
    "applicable_tests",
    "assess",
    "assess_with_shadows",
    "compare_with_proofs",
    "confidence",
    "draw_splits",
    "fit_normal",
    "joint_ratio",
    "lira_offline",
    "lira_online",
    "loss",
    "make_pool",
    "make_splits",
    "membership_scores",
    "rmia",
    "ruli",
    "scaled_confidence",
    "train_shadow",
    "unlearn_shadow",
    "update_attack",
    "update_features",
]
