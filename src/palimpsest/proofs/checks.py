"""Verifiers of submitted proofs, and the evidence that they learn from."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from palimpsest.proofs.fit import fit_statistics, identified, row_norms
from palimpsest.randomness import make_generator
from palimpsest.reduction import fit_projection
from palimpsest.registry import VERIFIERS, Component

_TINY = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class Evidence:
    """Gradient differences that the auditor computes with the oracle, for samples that were not forgotten.

    Args:
        reference: Differences of the auditor's samples, with the clients' defenses applied, `[m, d]`.
        answers: Undefended differences of the challenge samples, `[c, d]`.
        imitations: Differences of the challenge samples with the clients' defenses applied, `[c, d]`.
        trials: The same as `imitations`, with fresh randomness, `[c, d]`.
    """

    reference: Tensor
    answers: Tensor
    imitations: Tensor
    trials: Tensor


@dataclass(frozen=True)
class Submission:
    """Proofs that a party submits.

    Args:
        proofs: One proof for each sample that the party claims to have forgotten, `[n, d]`.
        responses: Proofs of the challenge samples, in their order, `[c, d]`.
    """

    proofs: Tensor
    responses: Tensor


Suspicion = Callable[[Submission], Tensor]
"""Function from a submission to a score for each proof or response; the higher, the less honest it looks."""


class Verifier(Component, ABC):
    """Base class of the checks of a submission."""

    needs: ClassVar[str]
    """Requirements on the auditor's knowledge and actions, as a phrase for reports."""

    @abstractmethod
    def prepare(self, evidence: Evidence) -> Suspicion:
        """Learn from the auditor's evidence what honest proofs look like.

        Args:
            evidence: Gradient differences that the auditor computed.

        Returns:
            Function that scores a submission.
        """


@VERIFIERS.register("norm")
class NormCheck(Verifier):
    """The paper's check: the longer a proof, the less honest it looks."""

    source: ClassVar[str] = "IGF, section 3.1, Verification in FU"
    needs: ClassVar[str] = "nothing but the proofs"

    def prepare(self, evidence: Evidence) -> Suspicion:
        """Return the scoring function; see `Verifier.prepare`."""
        return lambda submission: row_norms(submission.proofs)


@VERIFIERS.register("range")
class RangeCheck(Verifier):
    """Check of the norm from both sides: a proof is suspicious if it is shorter or longer than usual."""

    needs: ClassVar[str] = "the oracle, for norms of the auditor's own samples"

    def prepare(self, evidence: Evidence) -> Suspicion:
        """Return the scoring function; see `Verifier.prepare`."""
        usual = row_norms(evidence.reference).clamp_min(_TINY).log()
        middle, spread = usual.median(), usual.std().clamp_min(_TINY)
        return lambda submission: (
            (row_norms(submission.proofs).clamp_min(_TINY).log() - middle) / spread
        ).abs()


@VERIFIERS.register("subspace")
class SubspaceCheck(Verifier):
    """Check of the directions: differences of real samples span few of them, and forged proofs lie outside."""

    needs: ClassVar[str] = "the oracle, for differences of the auditor's own samples"

    components: PositiveInt = 128
    """Largest number of directions of the auditor's differences."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.99
    """Share of their variance that the directions must explain."""

    def prepare(self, evidence: Evidence) -> Suspicion:
        """Return the scoring function; see `Verifier.prepare`."""
        # Half of the samples span the space, so that an honest proof lies no further outside than the other half.
        projection = fit_projection(
            evidence.reference[: max(2, len(evidence.reference) // 2)],
            explained_variance=self.share,
            components=self.components,
            directions=True,
            generator=make_generator(0, "subspace check"),
        )

        def outside(submission: Submission) -> Tensor:
            inside = row_norms(projection.transform(submission.proofs)).square()
            whole = row_norms(submission.proofs).square()
            # A zero proof counts as lying completely outside.
            return torch.where(whole > 0, 1 - inside / whole.clamp_min(_TINY), torch.ones_like(whole))

        return outside


@VERIFIERS.register("spot-check")
class SpotCheck(Verifier):
    """Request proofs of challenge samples, whose differences the auditor knows, among those of the forgotten samples.

    The auditor chooses the statistic of fit that works best on its imitations. A party that can recognize the
    challenges could answer only these honestly, so it must commit to all of its proofs first.
    """

    needs: ClassVar[str] = "the oracle, and challenge samples that the party takes for forgotten ones"

    def prepare(self, evidence: Evidence) -> Suspicion:
        """Return the scoring function; see `Verifier.prepare`."""
        statistics = fit_statistics(evidence.trials, evidence.answers, evidence.imitations)
        best = max(statistics, key=lambda name: identified(statistics[name]))

        def misfit(submission: Submission) -> Tensor:
            fits = fit_statistics(
                submission.responses, evidence.answers, evidence.imitations, only=best, paired=True
            )
            # Scores that differ only by rounding errors count as equal.
            return -fits[best].round(decimals=7)

        return misfit
