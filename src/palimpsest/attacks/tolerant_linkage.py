"""Linkage to candidates that differ from the forgotten samples, such as recompressed or cropped copies.

The statistics of `fit_statistics` compare a proof with a candidate by a norm or a cosine, in which every direction
counts the same. An altered copy moves the proof along few directions, and noise along all of them. Each statistic here
is a log-likelihood ratio: how much likelier is a difference between proof and candidate if they match than if they do
not? Both distributions are Gaussian, with covariances from the auditor's own samples and altered copies of these.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.proofs import fit_statistics
from palimpsest.proofs.fit import row_norms

WHITENED, COMBINED = "whitened", "norm and orthogonality"
"""Names of the statistics: difference in the row space of the auditor's answers, and two numbers of an obfuscated
proof."""
_TINY = 1e-12


@dataclass(frozen=True)
class TolerantLinker:
    """Covariances of the differences between proofs and candidates, from an auditor's own samples.

    Args:
        basis: Orthonormal rows that span the auditor's answers, `[k, d]` float64.
        matched: Second moments of the differences of matching pairs, `[k, k]` float64.
        unmatched: The same for other pairs.
        spread: Second moments of logarithmic norm difference and scaled cosine, `[2, 2]`: matching pairs, other pairs.
    """

    basis: Tensor
    matched: Tensor
    unmatched: Tensor
    spread: Tensor

    def scores(self, proofs: Tensor, answers: Tensor) -> dict[str, Tensor]:
        """Compare each proof with each candidate.

        Args:
            proofs: Submitted proofs, `[n, d]`.
            answers: Undefended gradient differences of the candidates, `[m, d]`.

        Returns:
            Log-likelihood ratios by the statistic's name, `[n, m]` float64; higher means a better fit.
        """
        first, second = (rows.double() @ self.basis.T for rows in (proofs, answers))
        gain = 1 / self.spread[1] - 1 / self.spread[0]
        return {
            WHITENED: _log_ratio(first, second, self.matched, self.unmatched),
            COMBINED: (_pair_numbers(proofs, answers).square() * gain).sum(-1) / 2,
        }


def row_space(answers: Tensor, *, components: int = 64) -> Tensor:
    """Return orthonormal rows that span the largest part of the auditor's answers.

    Args:
        answers: Undefended gradient differences, `[m, d]`, m at least 2.
        components: Largest number of rows.

    Returns:
        `[k, d]` float64, k at most m - 1.
    """
    centered = answers.double() - answers.double().mean(0)
    values, vectors = torch.linalg.eigh(centered @ centered.T)
    kept = torch.arange(len(values) - 1, max(0, len(values) - 1 - components), -1)
    kept = kept[values[kept] > 1e-10 * values[-1]]
    return (vectors[:, kept] / values[kept].sqrt()).T @ centered


def fit_tolerant_linker(
    basis: Tensor, proofs: Tensor, altered: Tensor, *, ridge: float = 0.1
) -> TolerantLinker:
    """Estimate how proofs differ from altered copies of their samples, and from other samples.

    Args:
        basis: Rows in whose span proofs and candidates are compared; see `row_space`.
        proofs: Imitated proofs of the auditor's samples, `[m, d]`, m at least 3.
        altered: Undefended gradient differences of altered copies of the same samples, `[m, d]`.
        ridge: Share of the mean variance that is added to every direction, so that few samples suffice. Choose the
            statistic on other samples than these: the fit to these is too good.

    Returns:
        The linker.
    """
    first, second = (rows.double() @ basis.T for rows in (proofs, altered))
    numbers = _pair_numbers(proofs, altered)
    pairs = torch.eye(len(proofs), dtype=torch.bool)
    differences = first[:, None] - second
    return TolerantLinker(
        basis,
        _moments(differences[pairs], ridge),
        _moments(differences[~pairs], ridge),
        torch.stack([numbers[pairs].square().mean(0), numbers[~pairs].square().mean(0)]).clamp_min(_TINY),
    )


def linkage_statistics(
    linker: TolerantLinker, proofs: Tensor, answers: Tensor, imitations: Tensor
) -> dict[str, Tensor]:
    """Compute the statistics of the linkage attack and those of a tolerant linker.

    Args:
        linker: The linker.
        proofs: Submitted proofs, `[n, d]`.
        answers: Undefended gradient differences of the candidates, `[m, d]`.
        imitations: Imitated proofs of the candidates, `[m, d]`.

    Returns:
        Scores by the statistic's name, `[n, m]` float64.
    """
    return fit_statistics(proofs, answers, imitations) | linker.scores(proofs, answers)


def _moments(differences: Tensor, ridge: float) -> Tensor:
    second = differences.T @ differences / len(differences)
    return second + ridge * second.diagonal().mean().clamp_min(_TINY) * torch.eye(
        len(second), dtype=second.dtype
    )


def _log_ratio(first: Tensor, second: Tensor, matched: Tensor, unmatched: Tensor) -> Tensor:
    """Return half of `d' U^-1 d - d' M^-1 d` for each pair; the determinants are the same for all pairs."""
    total = torch.zeros(len(first), len(second), dtype=torch.float64)
    for sign, moments in ((1, unmatched), (-1, matched)):
        # With L L' the inverse, the quadratic form is a squared distance.
        factor = torch.linalg.cholesky(torch.linalg.inv(moments))
        total += sign * torch.cdist(first @ factor, second @ factor).square() / 2
    return total


def _pair_numbers(proofs: Tensor, answers: Tensor) -> Tensor:
    """Return the difference of the norms' logarithms and the cosine times sqrt(d) of each pair, `[n, m, 2]`."""
    left, right = (row_norms(rows).clamp_min(_TINY) for rows in (proofs, answers))
    cosines = (proofs.double() @ answers.double().T) / (left[:, None] * right)
    return torch.stack(
        [left.log()[:, None] - right.log(), cosines * proofs.shape[1] ** 0.5],
        -1,
    )
