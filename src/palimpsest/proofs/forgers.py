"""Forged proofs: submissions of parties that have not computed an honest proof."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Generator, Tensor

from palimpsest.proofs.checks import Evidence, Submission
from palimpsest.proofs.fit import row_norms
from palimpsest.registry import import_submodules

Forger = Callable[[Submission, Evidence, Generator], Submission]
"""From an honest submission, whose shape it takes and whose proofs it may replay, to a forged one."""

RECOGNIZED = "random vectors, challenges recognized"
"""The forger whom only a commitment stops: made before the challenge, it leaves nothing to recognize."""

_SMALL = 0.1
_registered: dict[str, Forger] = {}


def register_forger(name: str) -> Callable[[Forger], Forger]:
    """Decorate a function of this package with the name that tables show."""

    def add(forge: Forger) -> Forger:
        _registered[name] = forge
        return forge

    return add


class _Forgers(Mapping[str, Forger]):
    """The registered forgers; every module of the package is imported when they are first asked for."""

    def __getitem__(self, name: str) -> Forger:
        return self._found()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())

    def _found(self) -> dict[str, Forger]:
        import_submodules("palimpsest.proofs")
        return _registered


FORGERS: Mapping[str, Forger] = _Forgers()
"""Every forger by name."""


@register_forger("zeros")
def _zeros(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    return Submission(torch.zeros_like(honest.proofs), torch.zeros_like(honest.responses))


@register_forger("small random vectors")
def _small(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    norm = _SMALL * float(row_norms(evidence.own).min())
    return Submission(
        _random(honest.proofs, torch.full((len(honest.proofs),), norm), generator),
        _random(honest.responses, torch.full((len(honest.responses),), norm), generator),
    )


@register_forger("random vectors of usual norm")
def _usual_norm(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    """Random directions, with norms such as the auditor's own samples have."""
    norms = row_norms(evidence.own)

    def draw(like: Tensor) -> Tensor:
        chosen = torch.randint(len(norms), (len(like),), generator=generator)
        return _random(like, norms[chosen], generator)

    return Submission(draw(honest.proofs), draw(honest.responses))


@register_forger("replayed proofs of other samples")
def _replayed(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    """Honest proofs, each of another sample than it should be."""
    return Submission(honest.proofs.roll(1, 0), honest.responses.roll(1, 0))


@register_forger(RECOGNIZED)
def _informed(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    """As with usual norms, but the challenges were recognized and answered honestly."""
    return Submission(_usual_norm(honest, evidence, generator).proofs, honest.responses)


def _random(like: Tensor, norms: Tensor, generator: Generator) -> Tensor:
    noise = torch.randn(like.shape, generator=generator)
    return noise.mul_((norms / row_norms(noise)).float()[:, None])
