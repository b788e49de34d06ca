"""Per-sample gradients, the oracle that answers with their differences, and how differences are reduced."""

from palimpsest.gradients.batch import BatchGradient
from palimpsest.gradients.memmap import collect, gather
from palimpsest.gradients.per_sample import (
    DEFAULT_BUDGET,
    difference_chunks,
    gradient_chunks,
    gradient_differences,
    parameter_count,
    per_sample_gradients,
)

__all__ = [
    "DEFAULT_BUDGET",
    "BatchGradient",
    "collect",
    "difference_chunks",
    "gather",
    "gradient_chunks",
    "gradient_differences",
    "parameter_count",
    "per_sample_gradients",
]
