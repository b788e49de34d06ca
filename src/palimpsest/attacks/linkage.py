"""Which of these images was forgotten? A proof need not give an image away to confirm it."""

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
"""Own samples on which the attacker tries its statistics; more change little and cost a square."""
Imitate = Callable[[Iterable[Tensor]], Iterator[Tensor]]
"""Defends answers, a chunk at a time, as clients would, with secrets and random numbers that are new in each call."""
_ROWS = 256


@dataclass(frozen=True)
class Confirmation(Record):
    """How well each proof fits each candidate.

    Args:
        scores: The higher, the better, `[proofs, candidates]`; by the statistic that did best on the auditor's own.
        statistic: Its name: `imitation`, `alignment`, `orthogonality` or `norm`.
        trials: The share of the auditor's own samples that each statistic identified.
    """

    scores: Tensor
    statistic: str
    trials: dict[str, float]

    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY, Knowledge.CANDIDATES}
    )


def confirm(
    view: AuditorView[Any], candidates: SampleSet, imitate: Imitate | None, *, generator: Generator
) -> Confirmation:
    """Compare each proof with the oracle's answer for each candidate.

    The statistics of `fit_statistics` are tried on the auditor's own samples, defended by its own imitation of the
    clients' defences, and the one that tells them apart best is taken.

    Args:
        view: Proofs, oracle and auxiliary images.
        candidates: Samples among which the forgotten ones may be, with their labels.
        imitate: The auditor's imitation of the defences; none where there are none.
        generator: Which own samples are tried.
    """
    chosen = torch.randperm(len(view.auxiliary), generator=generator)[:TRIALS]
    own = view.auxiliary.subset(chosen)
    answers = _ask(view, own, "ask about own samples")
    proofs, imitations = (_imitated(view, answers, imitate) for _ in range(2))
    tried = fit_statistics(proofs, answers, imitations)
    trials = {name: identified(scores) for name, scores in tried.items()}
    statistic = max(trials, key=lambda name: trials[name])
    answers = _ask(view, candidates, "ask about candidates")
    imitations = _imitated(view, answers, imitate)
    scores = fit_statistics(view.proofs, answers, imitations, only=statistic)[statistic]
    return Confirmation(scores.float(), statistic, trials)


def _ask(view: AuditorView[Any], samples: SampleSet, description: str) -> Tensor:
    def chunks() -> Iterator[Tensor]:
        with progress_line(description, len(samples)) as line:
            for chunk in view.oracle.differences(samples.inputs, samples.labels):
                yield chunk.cpu()
                line.advance(len(chunk))

    return _kept(view, chunks(), len(samples), view.oracle.dimension)


def _imitated(view: AuditorView[Any], answers: Tensor, imitate: Imitate | None) -> Tensor:
    if imitate is None or not len(answers):
        return answers
    chunks = imitate(answers.split(_ROWS))
    first = next(chunks)
    return _kept(view, chain([first], chunks), len(answers), first.shape[1])


def _kept(view: AuditorView[Any], chunks: Iterable[Tensor], count: int, dimension: int) -> Tensor:
    return collect(chunks, count, dimension, memory_budget=view.memory_budget, folder=view.scratch)
