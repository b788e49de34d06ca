"""Verification of proofs, in memory or as files."""

from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from palimpsest.api.paths import checked_path, refuse_existing
from palimpsest.artifacts.attestation import require_same_numbering
from palimpsest.datasets.numbering import Numbering
from palimpsest.errors import ProofError
from palimpsest.progress import finite
from palimpsest.proofs import Proofs, Verdicts, calibrate_tau, load_proofs, proof_norms
from palimpsest.proofs import verify as verify_proofs
from palimpsest.storage import write_json


def verify(
    proofs: Tensor | Proofs | str | PathLike[str],
    *,
    tau: float | None = None,
    calibrate: Tensor | Proofs | str | PathLike[str] | None = None,
    quantile: float = 0.99,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
) -> Verdicts:
    """Accept each proof whose L2 norm is at most tau, as the papers' auditor does (IGF, section 3.1).

    The rule is unsound: a zero vector, or any small one, passes as easily as an honest gradient difference. Acceptance
    shows that the norm is small, and nothing about what was forgotten.

    Args:
        proofs: Gradient differences `[n, d]`, `Proofs`, or the path of a proof file, which is read as untrusted input.
        tau: The largest norm to accept, at least 0. Give either `tau` or `calibrate`.
        calibrate: Proofs of samples that were not forgotten, in any of the forms above: tau becomes a quantile of
            their norms.
        quantile: Fraction of the calibration proofs that must be accepted, in (0, 1].
        out: The file to write the verdicts to, as JSON. If omitted, nothing is written.
        overwrite: Replace the file if it exists.

    Returns:
        Verdicts in the order of the proofs, with the threshold. Proofs with non-finite values are rejected.

    Raises:
        DatasetError: The calibration proofs record another numbering of the classes.
        ProofError: The vectors are not a float32 matrix, the file holds no proofs, tau is negative or not finite, or
            both or neither of `tau` and `calibrate` are given.
        ConfigurationError: `out` exists and `overwrite` is not set.

    Example:
        >>> import palimpsest
        >>> import torch
        >>> verdicts = palimpsest.verify(torch.tensor([[0.3, 0.4], [3.0, 4.0]]), tau=1.0)
        >>> verdicts.accepted
        tensor([ True, False])
    """
    refuse_existing(Path(out) if out else None, overwrite=overwrite)
    if (tau is None) == (calibrate is None):
        raise ProofError(
            "The verifier needs one threshold. Give either tau or other proofs to calibrate it, not both."
        )
    submitted = loaded_proofs(proofs)
    if calibrate is not None:
        reference = loaded_proofs(calibrate)
        require_same_numbering(submitted, Numbering.from_metadata(reference.metadata), "calibrate")
        tau = calibrate_tau(proof_norms(reference.vectors), quantile=quantile)
    assert tau is not None, "tau or calibrate is given"
    verdicts = verify_proofs(submitted, tau=tau)
    if out is not None:
        write_json(Path(out), verdicts_json(verdicts))
    return verdicts


def verdicts_json(verdicts: Verdicts) -> dict[str, Any]:
    """Return verdicts as values that JSON can hold.

    Args:
        verdicts: The verdicts.
    """
    accepted: list[bool] = [bool(accepted) for accepted in verdicts.accepted]
    norms: list[float] = [float(norm) for norm in verdicts.norms]
    reasons = list(verdicts.reasons)
    return finite({"tau": verdicts.tau, "accepted": accepted, "norms": norms, "reasons": reasons})


def loaded_proofs(proofs: object) -> Proofs:
    """Return proofs of any accepted form, or refuse another type."""
    if isinstance(proofs, Proofs):
        return proofs
    if isinstance(proofs, Tensor):
        return Proofs(proofs)
    remedy = "Pass a float32 tensor [n, d], Proofs, or the path of a proof file."
    return load_proofs(checked_path(proofs, "proofs", remedy=remedy))
