"""Per-sample gradients, the oracle that answers with their differences, and how differences are reduced."""

from palimpsest.gradients.batch import BatchGradient
from palimpsest.gradients.hashing import FeatureHash
from palimpsest.gradients.oracle import ModelOracle, Oracle, read_answers
from palimpsest.gradients.per_sample import (
    DEFAULT_BUDGET,
    difference_chunks,
    gradient_chunks,
    gradient_differences,
    parameter_count,
    per_sample_gradients,
)
from palimpsest.gradients.precomputed import PrecomputedOracle
from palimpsest.gradients.recorded import RecordedOracle
from palimpsest.gradients.reduction import Projection, fit_projection
from palimpsest.gradients.remote import Endpoint, RemoteOracle
from palimpsest.gradients.sharded import ShardedOracle, oracle_of
from palimpsest.gradients.sketch import CountSketch
from palimpsest.gradients.store import collect, gather

__all__ = [
    "DEFAULT_BUDGET",
    "BatchGradient",
    "CountSketch",
    "Endpoint",
    "FeatureHash",
    "ModelOracle",
    "Oracle",
    "PrecomputedOracle",
    "Projection",
    "RecordedOracle",
    "RemoteOracle",
    "ShardedOracle",
    "collect",
    "difference_chunks",
    "fit_projection",
    "gather",
    "gradient_chunks",
    "gradient_differences",
    "oracle_of",
    "parameter_count",
    "per_sample_gradients",
    "read_answers",
]
