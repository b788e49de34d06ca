"""Per-sample gradients, their differences, batch gradients, and the layer rules that compute them."""

from palimpsest.gradients.batch import BatchGradient
from palimpsest.gradients.layer_rules import (
    register_batched_rule,
    register_decomposition,
    register_factored_rule,
    register_per_sample_rule,
)
from palimpsest.gradients.mean import mean_difference
from palimpsest.gradients.memmap import collect, gather
from palimpsest.gradients.per_sample import (
    difference_chunks,
    gradient_chunks,
    gradient_differences,
    per_sample_gradients,
)
from palimpsest.gradients.trainable import parameter_count, set_trainable, trainable_parameters
from palimpsest.system.memory import DEFAULT_BUDGET

__all__ = [
    "DEFAULT_BUDGET",
    "BatchGradient",
    "collect",
    "difference_chunks",
    "gather",
    "gradient_chunks",
    "gradient_differences",
    "mean_difference",
    "parameter_count",
    "per_sample_gradients",
    "register_batched_rule",
    "register_decomposition",
    "register_factored_rule",
    "register_per_sample_rule",
    "set_trainable",
    "trainable_parameters",
]
