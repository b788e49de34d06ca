"""How close a reconstruction is: the only place where reconstructions and forgotten images meet."""

from palimpsest.metrics.assignment import assign
from palimpsest.metrics.baselines import mean_image, nearest_images
from palimpsest.metrics.batches import in_order, label_recovery
from palimpsest.metrics.bootstrap import bootstrap_intervals
from palimpsest.metrics.comparison import Comparison, compare
from palimpsest.metrics.confirmation import ConfirmationScores, score_confirmation
from palimpsest.metrics.evaluate import Scores, evaluate
from palimpsest.metrics.identification import right_ranks
from palimpsest.metrics.image_metrics import mean_squared_errors, psnr, ssim
from palimpsest.metrics.perceptual import lpips
from palimpsest.metrics.soundness import separation

__all__ = [
    "Comparison",
    "ConfirmationScores",
    "Scores",
    "assign",
    "bootstrap_intervals",
    "compare",
    "evaluate",
    "in_order",
    "label_recovery",
    "lpips",
    "mean_image",
    "mean_squared_errors",
    "nearest_images",
    "psnr",
    "right_ranks",
    "score_confirmation",
    "separation",
    "ssim",
]
