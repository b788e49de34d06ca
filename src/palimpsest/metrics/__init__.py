"""How close a reconstruction is: the only place where reconstructions and forgotten images meet."""

from palimpsest.metrics.assignment import assign
from palimpsest.metrics.baselines import mean_image, nearest_images
from palimpsest.metrics.batches import in_order, label_recovery
from palimpsest.metrics.bootstrap import bootstrap_intervals
from palimpsest.metrics.comparison import Comparison, compare
from palimpsest.metrics.evaluate import Scores, evaluate
from palimpsest.metrics.identification import right_ranks
from palimpsest.metrics.image_metrics import mean_squared_errors, psnr, ssim
from palimpsest.metrics.linkage import ConfirmationScores, score_confirmation
from palimpsest.metrics.measured import Measured, measure
from palimpsest.metrics.metric import CrossCorrelation, MeanAbsoluteError, Metric
from palimpsest.metrics.perceptual import lpips
from palimpsest.metrics.permutation_test import Belonging, measure_belonging, shuffle_pairs
from palimpsest.metrics.rates import Rate, area, binomial_interval, share
from palimpsest.metrics.soundness import separation
from palimpsest.metrics.undefended_baseline import Control, judge_control
from palimpsest.metrics.vectors import SampleScores, evaluate_samples, sample_errors

__all__ = [
    "Belonging",
    "Comparison",
    "ConfirmationScores",
    "Control",
    "CrossCorrelation",
    "MeanAbsoluteError",
    "Measured",
    "Metric",
    "Rate",
    "SampleScores",
    "Scores",
    "area",
    "assign",
    "binomial_interval",
    "bootstrap_intervals",
    "compare",
    "evaluate",
    "evaluate_samples",
    "in_order",
    "judge_control",
    "label_recovery",
    "lpips",
    "mean_image",
    "mean_squared_errors",
    "measure",
    "measure_belonging",
    "nearest_images",
    "psnr",
    "right_ranks",
    "sample_errors",
    "score_confirmation",
    "separation",
    "share",
    "shuffle_pairs",
    "ssim",
]
