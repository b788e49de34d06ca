"""Imports of a run, preloaded once in the process from which workloads are forked."""

import lightning_fabric  # noqa: F401
import sklearn.datasets  # noqa: F401

import palimpsest.artifacts
import palimpsest.pipeline.audit
import palimpsest.pipeline.sweep  # noqa: F401
from palimpsest.metrics.image_metrics import ssim  # noqa: F401
from palimpsest.system.torchvision_compat import import_torchvision

import_torchvision()
import torchmetrics  # noqa: E402, F401
