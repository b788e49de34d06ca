"""Which of these images was forgotten? A proof need not give an image away to confirm it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from palimpsest.attacks.view import AuditorView, Knowledge
from palimpsest.datasets import SampleSet
from palimpsest.gradients import Oracle, collect
from palimpsest.progress import progress_line
from palimpsest.proofs import fit_statistics, identified
from palimpsest.records import Record

TRIALS = 512
"""Own samples on which the attacker tries its statistics; more change little and cost a square."""


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
    view: AuditorView[Any], candidates: SampleSet, defended: Oracle, *, generator: Generator
) -> Confirmation:
    """Compare each proof with the oracle's answer for each candidate.

    The statistics of `fit_statistics` are tried on the auditor's own samples, defended by its own imitation of the
    clients' defences, and the one that tells them apart best is taken.

    Args:
        view: Proofs, oracle and auxiliary images.
        candidates: Samples among which the forgotten ones may be, with their labels.
        defended: The oracle through the auditor's imitation of the defences.
        generator: Which own samples are tried.
    """
    chosen = torch.randperm(len(view.auxiliary), generator=generator)[:TRIALS]
    own = view.auxiliary.subset(chosen)
    proofs = _ask(view, defended, own, "imitate proofs")
    tried = fit_statistics(proofs, _ask(view, view.oracle, own), _ask(view, defended, own))
    trials = {name: identified(scores) for name, scores in tried.items()}
    statistic = max(trials, key=lambda name: trials[name])
    answers = _ask(view, view.oracle, candidates, "ask about candidates")
    imitations = _ask(view, defended, candidates)
    scores = fit_statistics(view.proofs, answers, imitations, only=statistic)[statistic]
    return Confirmation(scores.float(), statistic, trials)


def _ask(view: AuditorView[Any], oracle: Oracle, samples: SampleSet, description: str = "") -> Tensor:
    def chunks() -> Iterator[Tensor]:
        with progress_line(description or "ask the oracle", len(samples)) as line:
            for chunk in oracle.differences(samples.inputs, samples.labels):
                yield chunk.cpu()
                line.advance(len(chunk))

    return collect(
        chunks(), len(samples), oracle.dimension, memory_budget=view.memory_budget, folder=view.scratch
    )
