"""Norm check, which accepts small gradient differences as proofs (IGF, section 3.1)."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from palimpsest.display import frame, html_paragraph, html_table
from palimpsest.errors import ProofError
from palimpsest.proofs.file import Proofs, row_blocks
from palimpsest.storage import Record

if TYPE_CHECKING:
    import pandas

_SHOWN = 20


@dataclass(frozen=True)
class Verdicts(Record):
    """Verdicts of the norm check, one for each proof.

    Example:
        >>> import torch
        >>> from palimpsest import Verdicts, verify
        >>> verdicts = verify(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), tau=1.0)
        >>> isinstance(verdicts, Verdicts)
        True
        >>> verdicts.accepted.tolist()
        [False, True]
        >>> verdicts.reasons[0]
        'Refused: the norm 5 is above tau, 1.'
    """

    accepted: Tensor
    """True for each accepted proof, bool `[n]`."""
    norms: Tensor
    """L2 norm of each proof, float32 `[n]`; infinite where a value is not finite."""
    reasons: tuple[str, ...]
    """A sentence for each proof that gives the reason for its verdict."""
    tau: float
    """Largest norm that is accepted."""

    def to_frame(self) -> "pandas.DataFrame":
        """Return a table with one row for each proof.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        lists = self.accepted.tolist(), self.norms.tolist(), self.reasons
        rows = [
            {"proof": place, "accepted": accepted, "norm": norm, "reason": reason}
            for place, (accepted, norm, reason) in enumerate(zip(*lists, strict=True))
        ]
        return frame(rows, columns=("proof", "accepted", "norm", "reason"), index="proof")

    def _repr_html_(self) -> str:
        refused = [place for place, accepted in enumerate(self.accepted.tolist()) if not accepted]
        html = html_paragraph(
            f"{len(self.reasons) - len(refused):,} of {len(self.reasons):,} proofs accepted "
            f"(norm at most tau = {self.tau:.6g}).",
            strong=True,
        )
        if refused:
            rows = [(place, self.reasons[place]) for place in refused[:_SHOWN]]
            html += html_table(("proof", "reason"), rows)
        if len(refused) > _SHOWN:
            html += html_paragraph(f"... and {len(refused) - _SHOWN:,} more.")
        return html


def verify(vectors_or_proofs: Tensor | Proofs, *, tau: float) -> Verdicts:
    """Accept each proof whose norm is at most tau: ||g_j||_2 <= tau (IGF, section 3.1).

    The rule is unsound: zeros and any other small vectors pass as well as an honest difference. Acceptance means that
    the norm is small, and says nothing about what was forgotten.

    Args:
        vectors_or_proofs: Gradient differences, `[n, d]`.
        tau: Largest norm to accept, at least 0; see `calibrate_tau`.

    Returns:
        Verdicts in the order of the proofs. A proof with a value that is not finite is refused.

    Raises:
        ProofError: The vectors are not a float32 matrix, or tau is negative or not finite.
    """
    if not 0 <= tau < math.inf:
        raise ProofError(f"tau is {tau}: it is a norm, so it must be finite and at least 0.")
    proofs = vectors_or_proofs if isinstance(vectors_or_proofs, Proofs) else Proofs(vectors_or_proofs)
    norms = proof_norms(proofs.vectors)
    accepted = norms <= tau
    reasons = tuple(map(_reason, norms.tolist(), accepted.tolist(), [tau] * len(norms)))
    return Verdicts(accepted, norms, reasons, float(tau))


def proof_norms(vectors: Tensor) -> Tensor:
    """Return the L2 norms of the rows, summed in float64.

    Args:
        vectors: Proofs, `[n, d]` float32.

    Returns:
        Norms, `[n]` float32 on the CPU; infinite for a row with a value that is not finite.
    """
    norms = [torch.linalg.vector_norm(block, dim=1, dtype=torch.float64) for block in row_blocks(vectors)]
    return torch.cat(norms).float().cpu().nan_to_num(nan=math.inf, posinf=math.inf)


def calibrate_tau(norms: Tensor, *, quantile: float) -> float:
    """Return the smallest tau at which at least a given share of held-out samples' differences pass.

    Args:
        norms: Norms of the gradient differences of samples that were never trained on, `[m]`.
        quantile: Share that must pass, above 0 and at most 1.

    Returns:
        One of the norms.

    Raises:
        ProofError: There are no norms, one is not finite, or the quantile is out of range.
    """
    if norms.numel() == 0 or not norms.isfinite().all():
        raise ProofError(
            f"tau can't be calibrated on {norms.numel()} norms. Pass at least one, all of them finite, or set "
            "verification.tau."
        )
    if not 0 < quantile <= 1:
        raise ProofError(f"The quantile is {quantile}: it must be above 0 and at most 1.")
    # 0.07 * 100 is slightly above 7. The subtraction keeps this rounding error from requiring one sample more.
    passing = max(1, math.ceil(quantile * norms.numel() - 1e-9))
    return float(norms.flatten().kthvalue(passing).values)


def _reason(norm: float, accepted: bool, tau: float) -> str:
    if not math.isfinite(norm):
        return "Refused: a value is not finite."
    if accepted:
        return f"Accepted: the norm {norm:.6g} is at most tau, {tau:.6g}."
    return f"Refused: the norm {norm:.6g} is above tau, {tau:.6g}."
