"""What a party can hand in that has not computed an honest proof."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from palimpsest.proofs.checks import Evidence, Submission
from palimpsest.proofs.fit import row_norms

_SMALL = 0.1


def _zeros(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    return Submission(torch.zeros_like(honest.proofs), torch.zeros_like(honest.responses))


def _small(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    norm = _SMALL * float(row_norms(evidence.own).min())
    return Submission(
        _random(honest.proofs, torch.full((len(honest.proofs),), norm), generator),
        _random(honest.responses, torch.full((len(honest.responses),), norm), generator),
    )


def _usual_norm(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    """Random directions, with norms such as the auditor's own samples have."""
    norms = row_norms(evidence.own)

    def draw(like: Tensor) -> Tensor:
        chosen = torch.randint(len(norms), (len(like),), generator=generator)
        return _random(like, norms[chosen], generator)

    return Submission(draw(honest.proofs), draw(honest.responses))


def _replayed(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    """Honest proofs, each of another sample than it should be."""
    return Submission(honest.proofs.roll(1, 0), honest.responses.roll(1, 0))


def _informed(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    """As with usual norms, but the challenges were recognised and answered honestly."""
    return Submission(_usual_norm(honest, evidence, generator).proofs, honest.responses)


RECOGNISED = "random vectors, challenges recognised"
"""The forger whom only a commitment stops: made before the challenge, it leaves nothing to recognise."""

FORGERS: dict[str, Callable[[Submission, Evidence, Generator], Submission]] = {
    "zeros": _zeros,
    "small random vectors": _small,
    "random vectors of usual norm": _usual_norm,
    "replayed proofs of other samples": _replayed,
    RECOGNISED: _informed,
}
"""By name: from an honest submission, whose shape they take and whose proofs they may replay, to a forged one."""


def _random(like: Tensor, norms: Tensor, generator: Generator) -> Tensor:
    noise = torch.randn(like.shape, generator=generator)
    return noise.mul_((norms / row_norms(noise)).float()[:, None])
