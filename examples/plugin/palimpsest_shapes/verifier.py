"""Verifier that counts exact zeros: a gradient difference is zero where a unit was inactive, a forgery rarely is."""

import torch
from torch import Tensor

from palimpsest.proofs import Evidence, Submission, Suspicion, Verifier


class ZerosCheck(Verifier):
    """Deviation of a proof's share of exact zeros from that of the auditor's own samples."""

    source = "this example"
    needs = "the oracle, for differences of the auditor's own samples"

    def prepare(self, evidence: Evidence) -> Suspicion:
        """Estimate mean and standard deviation on the auditor's samples; see `Verifier.prepare`."""
        shares = share_of_zeros(evidence.reference)
        mean, std = shares.mean(), shares.std().clamp_min(1e-6)

        def suspicion(submission: Submission) -> Tensor:
            return (share_of_zeros(submission.proofs) - mean).abs() / std

        return suspicion


def share_of_zeros(vectors: Tensor) -> Tensor:
    """Return the share of zeros of each vector, `[n]` for vectors `[n, d]`."""
    return torch.stack([(vector == 0).double().mean() for vector in vectors])
