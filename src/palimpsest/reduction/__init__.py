"""Dimensionality reduction of gradient differences: projection (SVD), count sketch and feature hashing."""

from palimpsest.reduction.count_sketch import CountSketch
from palimpsest.reduction.feature_hash import FeatureHash
from palimpsest.reduction.projection import Projection, fit_projection

__all__ = ["CountSketch", "FeatureHash", "Projection", "fit_projection"]
