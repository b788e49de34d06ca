"""A verifier: a gradient difference is exactly zero where no activation was, and a forgery rarely is."""

import torch
from torch import Tensor

from palimpsest.proofs import Evidence, Submission, Suspicion, Verifier


class ZerosCheck(Verifier):
    """How far a proof's share of exact zeros is from that of the auditor's own samples."""

    source = "this example"
    needs = "the oracle, for differences of the auditor's own samples"

    def prepare(self, evidence: Evidence) -> Suspicion:
        """See `Verifier.prepare`."""
        usual = share_of_zeros(evidence.reference)
        middle, spread = usual.mean(), usual.std().clamp_min(1e-6)

        def suspicion(submission: Submission) -> Tensor:
            return (share_of_zeros(submission.proofs) - middle).abs() / spread

        return suspicion


def share_of_zeros(vectors: Tensor) -> Tensor:
    """`[n]` of vectors `[n, d]`."""
    return torch.stack([(vector == 0).double().mean() for vector in vectors])
