"""Scores of reconstructions against the forgotten samples, and the schema of `metrics.json`.

Reconstructions and forgotten samples are compared in this package only; attacks never see the truth.
"""

from typing import TYPE_CHECKING

from palimpsest.system.lazy_package import import_on_first_use

if TYPE_CHECKING:
    from palimpsest.metrics.assignment import assign
    from palimpsest.metrics.baselines import mean_image, nearest_images
    from palimpsest.metrics.batches import in_order, label_recovery
    from palimpsest.metrics.bootstrap import bootstrap_difference, bootstrap_intervals
    from palimpsest.metrics.bound_evidence import limits_every_attack
    from palimpsest.metrics.comparison import Comparison, compare
    from palimpsest.metrics.control_groups import ControlGroupMetrics, score_control_group
    from palimpsest.metrics.evaluate import Scores, evaluate
    from palimpsest.metrics.forgetting import Behavior, Distance, Forgetting
    from palimpsest.metrics.forgetting_tests import forgetting_tests
    from palimpsest.metrics.forgetting_verdict import (
        ForgettingGrade,
        ForgettingVerdict,
        forgetting_table,
        judge_forgetting,
    )
    from palimpsest.metrics.group_linkage import GroupLinkageScores, score_group_linkage
    from palimpsest.metrics.identification import right_ranks
    from palimpsest.metrics.image_metrics import mean_squared_errors, psnr, ssim
    from palimpsest.metrics.linkage import LinkageScores, score_linkage
    from palimpsest.metrics.measured import Measured, measure
    from palimpsest.metrics.membership import FALSE_POSITIVE_RATE, Membership, membership_score
    from palimpsest.metrics.metric import CrossCorrelation, MeanAbsoluteError, Metric
    from palimpsest.metrics.perceptual import lpips
    from palimpsest.metrics.permutation_test import PermutationTest, permutation_test, shuffle_pairs
    from palimpsest.metrics.positive_control import judge_control
    from palimpsest.metrics.prior_comparison import PriorComparison, compare_with_prior
    from palimpsest.metrics.rates import Rate, area, area_interval, binomial_interval, share
    from palimpsest.metrics.relearn_time import RelearnTime, relearn_steps, relearn_time
    from palimpsest.metrics.retraining_epsilon import (
        EPSILON_CAP,
        forgetting_quality,
        largest_epsilon,
        unlearning_epsilons,
    )
    from palimpsest.metrics.retraining_spread import (
        ModelReading,
        RetrainingComparison,
        Spread,
        compare_with_retrainings,
        spread,
    )
    from palimpsest.metrics.schema import Metrics, Reading
    from palimpsest.metrics.schema_aggregation import AggregationMetrics
    from palimpsest.metrics.schema_bounds import (
        BoundsMetrics,
        EpsilonMetrics,
        ErrorBounds,
        IdentificationBounds,
    )
    from palimpsest.metrics.schema_forgetting import Estimate, ForgettingTest
    from palimpsest.metrics.schema_overlap import OverlapMetrics
    from palimpsest.metrics.schema_parts import (
        AttackerMetrics,
        FederationMetrics,
        Interval,
        Meaning,
        ObservationMetrics,
        PartMetrics,
        PrivacyMetrics,
        ProofFileMetrics,
        ScoreMeans,
        SoundnessMetrics,
        VerificationMetrics,
    )
    from palimpsest.metrics.schema_verdict import (
        Grade,
        MemberMetrics,
        PositiveControl,
        TrainingMetrics,
        VerdictMetrics,
    )
    from palimpsest.metrics.soundness import separation
    from palimpsest.metrics.undefended_baseline import UndefendedBaseline, judge_undefended
    from palimpsest.metrics.vectors import SampleScores, evaluate_samples, sample_errors
    from palimpsest.metrics.verdict import (
        closer_than_constant,
        failed_attack,
        identification_limit,
        leak_level,
        reach_verdict,
    )

__all__ = [
    "EPSILON_CAP",
    "FALSE_POSITIVE_RATE",
    "AggregationMetrics",
    "AttackerMetrics",
    "Behavior",
    "BoundsMetrics",
    "Comparison",
    "ControlGroupMetrics",
    "CrossCorrelation",
    "Distance",
    "EpsilonMetrics",
    "ErrorBounds",
    "Estimate",
    "FederationMetrics",
    "Forgetting",
    "ForgettingGrade",
    "ForgettingTest",
    "ForgettingVerdict",
    "Grade",
    "GroupLinkageScores",
    "IdentificationBounds",
    "Interval",
    "LinkageScores",
    "MeanAbsoluteError",
    "Meaning",
    "Measured",
    "MemberMetrics",
    "Membership",
    "Metric",
    "Metrics",
    "ModelReading",
    "ObservationMetrics",
    "OverlapMetrics",
    "PartMetrics",
    "PermutationTest",
    "PositiveControl",
    "PriorComparison",
    "PrivacyMetrics",
    "ProofFileMetrics",
    "Rate",
    "Reading",
    "RelearnTime",
    "RetrainingComparison",
    "SampleScores",
    "ScoreMeans",
    "Scores",
    "SoundnessMetrics",
    "Spread",
    "TrainingMetrics",
    "UndefendedBaseline",
    "VerdictMetrics",
    "VerificationMetrics",
    "area",
    "area_interval",
    "assign",
    "binomial_interval",
    "bootstrap_difference",
    "bootstrap_intervals",
    "closer_than_constant",
    "compare",
    "compare_with_prior",
    "compare_with_retrainings",
    "evaluate",
    "evaluate_samples",
    "failed_attack",
    "forgetting_quality",
    "forgetting_table",
    "forgetting_tests",
    "identification_limit",
    "in_order",
    "judge_control",
    "judge_forgetting",
    "judge_undefended",
    "label_recovery",
    "largest_epsilon",
    "leak_level",
    "limits_every_attack",
    "lpips",
    "mean_image",
    "mean_squared_errors",
    "measure",
    "membership_score",
    "nearest_images",
    "permutation_test",
    "psnr",
    "reach_verdict",
    "relearn_steps",
    "relearn_time",
    "right_ranks",
    "sample_errors",
    "score_control_group",
    "score_group_linkage",
    "score_linkage",
    "separation",
    "share",
    "shuffle_pairs",
    "spread",
    "ssim",
    "unlearning_epsilons",
]

import_on_first_use(
    __name__,
    {
        "palimpsest.metrics.assignment": ("assign",),
        "palimpsest.metrics.baselines": ("mean_image", "nearest_images"),
        "palimpsest.metrics.batches": ("in_order", "label_recovery"),
        "palimpsest.metrics.bootstrap": ("bootstrap_difference", "bootstrap_intervals"),
        "palimpsest.metrics.bound_evidence": ("limits_every_attack",),
        "palimpsest.metrics.comparison": ("Comparison", "compare"),
        "palimpsest.metrics.control_groups": ("ControlGroupMetrics", "score_control_group"),
        "palimpsest.metrics.evaluate": ("Scores", "evaluate"),
        "palimpsest.metrics.forgetting": ("Behavior", "Distance", "Forgetting"),
        "palimpsest.metrics.forgetting_tests": ("forgetting_tests",),
        "palimpsest.metrics.forgetting_verdict": (
            "ForgettingGrade",
            "ForgettingVerdict",
            "forgetting_table",
            "judge_forgetting",
        ),
        "palimpsest.metrics.group_linkage": ("GroupLinkageScores", "score_group_linkage"),
        "palimpsest.metrics.identification": ("right_ranks",),
        "palimpsest.metrics.image_metrics": ("mean_squared_errors", "psnr", "ssim"),
        "palimpsest.metrics.linkage": ("LinkageScores", "score_linkage"),
        "palimpsest.metrics.measured": ("Measured", "measure"),
        "palimpsest.metrics.membership": ("FALSE_POSITIVE_RATE", "Membership", "membership_score"),
        "palimpsest.metrics.metric": ("CrossCorrelation", "MeanAbsoluteError", "Metric"),
        "palimpsest.metrics.perceptual": ("lpips",),
        "palimpsest.metrics.permutation_test": ("PermutationTest", "permutation_test", "shuffle_pairs"),
        "palimpsest.metrics.positive_control": ("judge_control",),
        "palimpsest.metrics.prior_comparison": ("PriorComparison", "compare_with_prior"),
        "palimpsest.metrics.rates": ("Rate", "area", "area_interval", "binomial_interval", "share"),
        "palimpsest.metrics.relearn_time": ("RelearnTime", "relearn_steps", "relearn_time"),
        "palimpsest.metrics.retraining_epsilon": (
            "EPSILON_CAP",
            "forgetting_quality",
            "largest_epsilon",
            "unlearning_epsilons",
        ),
        "palimpsest.metrics.retraining_spread": (
            "ModelReading",
            "RetrainingComparison",
            "Spread",
            "compare_with_retrainings",
            "spread",
        ),
        "palimpsest.metrics.schema": ("Metrics", "Reading"),
        "palimpsest.metrics.schema_aggregation": ("AggregationMetrics",),
        "palimpsest.metrics.schema_bounds": (
            "BoundsMetrics",
            "EpsilonMetrics",
            "ErrorBounds",
            "IdentificationBounds",
        ),
        "palimpsest.metrics.schema_forgetting": ("Estimate", "ForgettingTest"),
        "palimpsest.metrics.schema_overlap": ("OverlapMetrics",),
        "palimpsest.metrics.schema_parts": (
            "AttackerMetrics",
            "FederationMetrics",
            "Interval",
            "Meaning",
            "ObservationMetrics",
            "PartMetrics",
            "PrivacyMetrics",
            "ProofFileMetrics",
            "ScoreMeans",
            "SoundnessMetrics",
            "VerificationMetrics",
        ),
        "palimpsest.metrics.schema_verdict": (
            "Grade",
            "MemberMetrics",
            "PositiveControl",
            "TrainingMetrics",
            "VerdictMetrics",
        ),
        "palimpsest.metrics.soundness": ("separation",),
        "palimpsest.metrics.undefended_baseline": ("UndefendedBaseline", "judge_undefended"),
        "palimpsest.metrics.vectors": ("SampleScores", "evaluate_samples", "sample_errors"),
        "palimpsest.metrics.verdict": (
            "closer_than_constant",
            "failed_attack",
            "identification_limit",
            "leak_level",
            "reach_verdict",
        ),
    },
)
