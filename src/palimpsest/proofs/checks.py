"""What an auditor can check besides the norm, and what it needs to know for that."""

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
    """What the auditor makes itself, with the oracle and samples of its own that nobody forgot.

    Args:
        own: Its samples' differences as a client would hand them in, defended alike, `[m, d]`.
        answers: The challenge samples' undefended differences, `[c, d]`.
        imitations: The same as a client would hand them in, `[c, d]`.
        trials: The same once more, with fresh randomness, `[c, d]`.
    """

    own: Tensor
    answers: Tensor
    imitations: Tensor
    trials: Tensor


@dataclass(frozen=True)
class Submission:
    """What a party hands in.

    Args:
        proofs: One for each sample that it says it forgot, `[n, d]`.
        responses: Its proofs for the challenge samples, `[c, d]`, in their order.
    """

    proofs: Tensor
    responses: Tensor


Suspicion = Callable[[Submission], Tensor]
"""From a submission to one number for each proof (or response): the higher, the less honest it looks."""


class Verifier(Component, ABC):
    """A check of what a party hands in."""

    needs: ClassVar[str]
    """What the auditor has to know or do for it."""

    @abstractmethod
    def prepare(self, evidence: Evidence) -> Suspicion:
        """Learn from the auditor's own evidence what honest proofs look like."""


@VERIFIERS.register("norm")
class NormCheck(Verifier):
    """The paper's: a proof is the less honest, the longer it is."""

    source: ClassVar[str] = "IGF, section 3.1, Verification in FU"
    needs: ClassVar[str] = "nothing but the proofs"

    def prepare(self, evidence: Evidence) -> Suspicion:
        """See `Verifier.prepare`."""
        return lambda submission: row_norms(submission.proofs)


@VERIFIERS.register("range")
class RangeCheck(Verifier):
    """Both sides of the norm: a proof shorter than the auditor's own samples' differences is as strange as a longer."""

    needs: ClassVar[str] = "the oracle, for norms of the auditor's own samples"

    def prepare(self, evidence: Evidence) -> Suspicion:
        """See `Verifier.prepare`."""
        usual = row_norms(evidence.own).clamp_min(_TINY).log()
        middle, spread = usual.median(), usual.std().clamp_min(_TINY)
        return lambda submission: (
            (row_norms(submission.proofs).clamp_min(_TINY).log() - middle) / spread
        ).abs()


@VERIFIERS.register("subspace")
class SubspaceCheck(Verifier):
    """Differences of real samples lie near few directions: what lies outside their span is strange."""

    needs: ClassVar[str] = "the oracle, for differences of the auditor's own samples"

    components: PositiveInt = 128
    """Directions of the auditor's own differences."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.99
    """The share of their variance that is enough."""

    def prepare(self, evidence: Evidence) -> Suspicion:
        """See `Verifier.prepare`."""
        # Half of the own samples span the space, so that an honest proof is no stranger to it than the other half.
        projection = fit_projection(
            evidence.own[: max(2, len(evidence.own) // 2)],
            explained_variance=self.share,
            components=self.components,
            directions=True,
            generator=make_generator(0, "subspace check"),
        )

        def outside(submission: Submission) -> Tensor:
            inside = row_norms(projection.transform(submission.proofs)).square()
            whole = row_norms(submission.proofs).square()
            # Nothing of a zero proof lies inside.
            return torch.where(whole > 0, 1 - inside / whole.clamp_min(_TINY), torch.ones_like(whole))

        return outside


@VERIFIERS.register("spot-check")
class SpotCheck(Verifier):
    """Ask for proofs of samples whose differences the auditor knows, mixed with the forgotten ones.

    By what property a proof fits its sample is tried on the auditor's own imitations. A party that can tell the
    challenges from the rest answers those alone honestly: it has to commit to all of its proofs first.
    """

    needs: ClassVar[str] = "the oracle, and challenge samples that the party takes for forgotten ones"

    def prepare(self, evidence: Evidence) -> Suspicion:
        """See `Verifier.prepare`."""
        tried = fit_statistics(evidence.trials, evidence.answers, evidence.imitations)
        statistic = max(tried, key=lambda name: identified(tried[name]))

        def misfit(submission: Submission) -> Tensor:
            fits = fit_statistics(
                submission.responses, evidence.answers, evidence.imitations, only=statistic, paired=True
            )
            # What differs by rounding alone fits as well.
            return -fits[statistic].round(decimals=7)

        return misfit
