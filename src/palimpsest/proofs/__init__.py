"""The proof of unlearning: its file and its verifier."""

from palimpsest.proofs.file import Proofs, load_proofs, save_proofs
from palimpsest.proofs.prove import prove
from palimpsest.proofs.verifier import Verdicts, calibrate_tau, proof_norms, verify

__all__ = [
    "Proofs",
    "Verdicts",
    "calibrate_tau",
    "load_proofs",
    "proof_norms",
    "prove",
    "save_proofs",
    "verify",
]
