"""Forgers: functions that make submissions without computing honest proofs."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Generator, Tensor

from palimpsest.proofs.checks import Evidence, Submission
from palimpsest.proofs.fit import row_norms
from palimpsest.registry import import_submodules

Forger = Callable[[Submission, Evidence, Generator], Submission]
"""Function from an honest submission to a forged one of the same shape.

It may replay the honest proofs. It also gets the auditor's evidence and a generator.
"""

RECOGNIZED = "random vectors, challenges recognized"
"""Name of the forger that only a commitment made before the challenge can stop."""

_SMALL = 0.1
_registered: dict[str, Forger] = {}


def register_forger(name: str) -> Callable[[Forger], Forger]:
    """Return a decorator that registers a forger.

    Args:
        name: Name of the forger in tables.
    """

    def add(forge: Forger) -> Forger:
        _registered[name] = forge
        return forge

    return add


class _Forgers(Mapping[str, Forger]):
    """Mapping of the registered forgers, which imports every module of the package on first access."""

    def __getitem__(self, name: str) -> Forger:
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())

    def _load(self) -> dict[str, Forger]:
        import_submodules("palimpsest.proofs")
        return _registered


FORGERS: Mapping[str, Forger] = _Forgers()
"""All forgers by name."""


@register_forger("zeros")
def _zeros(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    return Submission(torch.zeros_like(honest.proofs), torch.zeros_like(honest.responses))


@register_forger("small random vectors")
def _small(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    norm = _SMALL * float(row_norms(evidence.reference).min())
    return Submission(
        _random(honest.proofs, torch.full((len(honest.proofs),), norm), generator),
        _random(honest.responses, torch.full((len(honest.responses),), norm), generator),
    )


@register_forger("random vectors of usual norm")
def _usual_norm(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    """Submit random directions with norms of the auditor's samples."""
    norms = row_norms(evidence.reference)

    def draw(like: Tensor) -> Tensor:
        chosen = torch.randint(len(norms), (len(like),), generator=generator)
        return _random(like, norms[chosen], generator)

    return Submission(draw(honest.proofs), draw(honest.responses))


@register_forger("replayed proofs of other samples")
def _replayed(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    """Submit honest proofs, each for a wrong sample."""
    return Submission(honest.proofs.roll(1, 0), honest.responses.roll(1, 0))


@register_forger(RECOGNIZED)
def _informed(honest: Submission, evidence: Evidence, generator: Generator) -> Submission:
    """Submit random vectors of usual norm, but answer the recognized challenges honestly."""
    return Submission(_usual_norm(honest, evidence, generator).proofs, honest.responses)


def _random(like: Tensor, norms: Tensor, generator: Generator) -> Tensor:
    noise = torch.randn(like.shape, generator=generator)
    return noise.mul_((norms / row_norms(noise)).float()[:, None])
