"""Linkage attack: find the candidate sample that each proof belongs to."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from palimpsest.attacks.auditor_view import AuditorView, Knowledge
from palimpsest.datasets import SampleSet
from palimpsest.gradients import collect
from palimpsest.progress import progress_line
from palimpsest.proofs import fit_statistics, identified
from palimpsest.storage import Record

TRIALS = 512
"""Maximum number of auxiliary samples on which the statistics are compared; the cost grows with its square."""
Imitate = Callable[[Iterable[Tensor]], Iterator[Tensor]]
"""Function that defends chunks of answers as clients would, with new secrets and random numbers in each call."""
_CHUNK = 256


@dataclass(frozen=True)
class Linkage(Record):
    """Fit of each proof to each candidate.

    Args:
        scores: Fit of each proof to each candidate, `[proofs, candidates]`; higher is better.
        statistic: Name of the statistic that computed the scores, the best one on auxiliary samples: `imitation`,
            `alignment`, `orthogonality`, or `norm`.
        trials: Share of the auxiliary samples that each statistic identified, by the statistic's name.
    """

    scores: Tensor
    statistic: str
    trials: dict[str, float]

    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY, Knowledge.CANDIDATES}
    )


def link_proofs(
    view: AuditorView[Any], candidates: SampleSet, imitate: Imitate | None, *, generator: Generator
) -> Linkage:
    """Compare each proof with the oracle's answer for each candidate.

    The statistics of `fit_statistics` are first compared on auxiliary samples, which are defended by the auditor's
    imitation of the clients' defenses. The statistic that identifies the most auxiliary samples scores the candidates.

    Args:
        view: Proofs, oracle, and auxiliary samples.
        candidates: Labeled samples, which may include the forgotten ones.
        imitate: The auditor's imitation of the clients' defenses. None means that there are no defenses.
        generator: Draws the auxiliary samples.

    Returns:
        The scores of all candidates for each proof.
    """
    drawn = torch.randperm(len(view.auxiliary), generator=generator)[:TRIALS]
    samples = view.auxiliary.subset(drawn)
    answers = query_samples(view, samples, "query auxiliary samples")
    proofs, imitations = (_imitate_defense(view, answers, imitate) for _ in range(2))
    scores = fit_statistics(proofs, answers, imitations)
    trials = {name: identified(values) for name, values in scores.items()}
    statistic = max(trials, key=lambda name: trials[name])
    answers = query_samples(view, candidates, "query candidates")
    imitations = _imitate_defense(view, answers, imitate)
    fits = fit_statistics(view.proofs, answers, imitations, only=statistic)[statistic]
    return Linkage(fits.float(), statistic, trials)


def query_samples(view: AuditorView[Any], samples: SampleSet, description: str) -> Tensor:
    """Collect the oracle's answers for samples, `[m, d]`.

    Args:
        view: The oracle, and the memory for the answers.
        samples: Labeled samples.
        description: Name of the progress line.
    """

    def chunks() -> Iterator[Tensor]:
        with progress_line(description, len(samples)) as line:
            for chunk in view.oracle.differences(samples.inputs, samples.labels):
                yield chunk.cpu()
                line.advance(len(chunk))

    return _collect(view, chunks(), len(samples), view.oracle.dimension)


def _imitate_defense(view: AuditorView[Any], answers: Tensor, imitate: Imitate | None) -> Tensor:
    """Defend answers as a client would; return them unchanged if there are no defenses."""
    if imitate is None or not len(answers):
        return answers
    chunks = imitate(answers.split(_CHUNK))
    first = next(chunks)
    return _collect(view, chain([first], chunks), len(answers), first.shape[1])


def _collect(view: AuditorView[Any], chunks: Iterable[Tensor], count: int, dimension: int) -> Tensor:
    return collect(chunks, count, dimension, memory_budget=view.memory_budget, folder=view.scratch)
