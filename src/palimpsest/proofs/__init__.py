"""Proofs of unlearning: their file format, their verifiers, and forgers that attack these."""

from palimpsest.proofs.checks import (
    Evidence,
    NormCheck,
    RangeCheck,
    SpotCheck,
    Submission,
    SubspaceCheck,
    Suspicion,
    Verifier,
)
from palimpsest.proofs.commitment import Commitment, Opening, check_commitment, commit
from palimpsest.proofs.file import Proofs, load_proofs, save_proofs
from palimpsest.proofs.fit import fit_statistics, identified
from palimpsest.proofs.forgers import FORGERS, RECOGNIZED
from palimpsest.proofs.groups import Groups, describe_groups, make_groups
from palimpsest.proofs.intake import Delivery, Received, misplaced, receive_proofs
from palimpsest.proofs.prove import describe_trainable, prove, prove_groups
from palimpsest.proofs.verifier import Verdicts, calibrate_tau, proof_norms, verify

__all__ = [
    "FORGERS",
    "RECOGNIZED",
    "Commitment",
    "Delivery",
    "Evidence",
    "Groups",
    "NormCheck",
    "Opening",
    "Proofs",
    "RangeCheck",
    "Received",
    "SpotCheck",
    "Submission",
    "SubspaceCheck",
    "Suspicion",
    "Verdicts",
    "Verifier",
    "calibrate_tau",
    "check_commitment",
    "commit",
    "describe_groups",
    "describe_trainable",
    "fit_statistics",
    "identified",
    "load_proofs",
    "make_groups",
    "misplaced",
    "proof_norms",
    "prove",
    "prove_groups",
    "receive_proofs",
    "save_proofs",
    "verify",
]
