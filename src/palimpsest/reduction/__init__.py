"""Dimensionality reduction of gradient differences: SVD, count sketch, factored projection and feature hashing."""

from palimpsest.reduction.count_sketch import CountSketch
from palimpsest.reduction.factored import FactoredProjection
from palimpsest.reduction.feature_hash import FeatureHash
from palimpsest.reduction.projection import Projection, fit_projection
from palimpsest.reduction.vector_sketch import VectorSketch

__all__ = ["CountSketch", "FactoredProjection", "FeatureHash", "Projection", "VectorSketch", "fit_projection"]
