"""Conversion of an attack's certificates to a section of `metrics.json`."""

from typing import Any

import torch

from palimpsest.attacks import HALF_LEVEL, Certificates
from palimpsest.datasets import ImageSet
from palimpsest.pipeline.results.outcome import Outcome


def certificate_metrics(outcome: Outcome) -> dict[str, Any] | None:
    """Count the certificates of each kind, and compare them with the truth if it is known.

    Args:
        outcome: The results of all stages.

    Returns:
        The section; None if the attack certifies nothing.
    """
    reconstruction = outcome.scored.reconstruction
    if not reconstruction.certificates:
        return None
    certificates: Certificates = reconstruction.certificates[0]
    statuses = certificates.statuses()
    thresholds = {
        **dict(zip(certificates.layers, certificates.thresholds.tolist(), strict=True)),
        "image": certificates.proof_threshold,
    }
    found: dict[str, Any] = {"thresholds": thresholds, "limit": certificates.limit or None}
    errors = None
    if isinstance(outcome.forgotten, ImageSet):
        truth = outcome.forgotten.images
        errors = (reconstruction.images - truth).square().flatten(1).mean(1)
        largest = (reconstruction.images - truth).abs().flatten(1).amax(1)
        found["wrong"] = int((certificates.exact & (largest >= HALF_LEVEL)).sum())
    found["statuses"] = {}
    for status in sorted(set(statuses), key=_order(certificates)):
        rows = torch.tensor([status == other for other in statuses])
        row: dict[str, Any] = {"count": int(rows.sum())}
        if errors is not None:
            row |= {"mean_mse": float(errors[rows].mean()), "largest_mse": float(errors[rows].max())}
        found["statuses"][status] = row
    return found


def _order(certificates: Certificates) -> Any:
    """Return a sorting key of statuses: exact ones first, then those that are certified through most layers."""
    known = ["certified exact", *(f"certified up to layer {name}" for name in reversed(certificates.layers))]
    return [*known, "not certified"].index
