"""Soundness stage: test every verifier against every forger, with the clients' defenses in place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from palimpsest.attacks import AuditorView
from palimpsest.config import AttackingConfig
from palimpsest.datasets import SampleSet
from palimpsest.defenses import apply_defenses
from palimpsest.metrics import Rate, separation
from palimpsest.oracles import query_all
from palimpsest.pipeline.stages.auditor import defended_oracle
from palimpsest.pipeline.stages.footprint import evidence_rows
from palimpsest.progress import track
from palimpsest.proofs import FORGERS, RECOGNIZED, Evidence, Submission
from palimpsest.randomness import make_generator
from palimpsest.registry import VERIFIERS
from palimpsest.runs import Run
from palimpsest.storage import Record

Area = list[float]
"""Area under the ROC curve, and both ends of its 95 % interval."""


@dataclass(frozen=True)
class Soundness(Record):
    """Ability of each verifier to distinguish each forger's proofs from honest ones.

    Args:
        areas: Area under the ROC curve with both ends of its 95% interval, by verifier and forger.
        needs: Knowledge or interaction that each verifier requires.
    """

    areas: dict[str, dict[str, Area]]
    needs: dict[str, str]

    @property
    def worst(self) -> dict[str, Area]:
        """Each verifier's smallest area over the forgers, except the one who recognizes challenges."""
        return {
            name: min(
                (area for forger, area in areas.items() if forger != RECOGNIZED), key=lambda area: area[0]
            )
            for name, areas in self.areas.items()
        }


def measure_soundness(
    run: Run, config: AttackingConfig, view: AuditorView[Any], *, key: Sequence[object]
) -> Soundness:
    """Run the stage `soundness`: compare the issued proofs with forged ones.

    Args:
        run: The run that stores the stage.
        config: Defenses and seed.
        view: The auditor's view, with the issued proofs.
        key: Everything that the oracle's answers depend on.

    Returns:
        The areas under the ROC curve of every verifier and forger.
    """
    return run.stage(
        "soundness",
        Soundness,
        lambda _: _measure(config, view),
        key=(
            *key,
            view.proofs,
            view.auxiliary,
            config.defenses,
            config.seed,
            view.device,
            {name: VERIFIERS.package_of(name) for name, _ in VERIFIERS},
        ),
    )


def separations(
    evidence: Evidence, honest: Submission, forged: Iterable[tuple[str, Submission]]
) -> dict[str, dict[str, Area]]:
    """Compute the area under the ROC curve of every registered verifier for every forged submission.

    Args:
        evidence: The auditor's evidence.
        honest: The honest submission.
        forged: Names and submissions of the forgers. They are consumed one at a time.

    Returns:
        The areas with their intervals, by verifier and forger.
    """
    suspicions = {name: verifier().prepare(evidence) for name, verifier in VERIFIERS}
    honest_scores = {name: suspicion(honest) for name, suspicion in suspicions.items()}
    areas: dict[str, dict[str, Area]] = {name: {} for name in suspicions}
    for forger, submission in forged:
        for name, suspicion in suspicions.items():
            areas[name][forger] = as_area(separation(honest_scores[name], suspicion(submission)))
        # Free it before the next one is forged: each may take as much memory as all proofs.
        del submission
    return areas


def as_area(rate: Rate) -> Area:
    """Return an area under the ROC curve and both ends of its interval."""
    return [rate.value, rate.low, rate.high]


def gather_evidence(config: AttackingConfig, view: AuditorView[Any]) -> tuple[Evidence, SampleSet]:
    """Query the evidence that the verifiers need, with as many samples as the memory budget allows.

    Args:
        config: Defenses and seed.
        view: The auditor's view.

    Returns:
        The evidence, and the samples of the challenges.
    """
    order = torch.randperm(len(view.auxiliary), generator=make_generator(config.seed, "challenges"))
    most_imitated, most_challenges = evidence_rows(view.oracle.dimension, memory_budget=view.memory_budget)
    count = min(most_challenges, max(1, len(order) // 3))
    challenges = view.auxiliary.subset(order[:count])
    imitated_samples = view.auxiliary.subset(order[count : count + most_imitated])
    oracle = defended_oracle(config, view, "soundness")
    imitated, answers = query_all(oracle, imitated_samples), query_all(view.oracle, challenges)
    imitations, trials = (next(oracle.defend([answers])) for _ in range(2))
    return Evidence(reference=imitated, answers=answers, imitations=imitations, trials=trials), challenges


def _measure(config: AttackingConfig, view: AuditorView[Any]) -> Soundness:
    evidence, _ = gather_evidence(config, view)
    defenses = [defense.build() for defense in config.defenses]
    # The clients defend their responses to the challenges like their proofs, with their own secrets.
    responses = apply_defenses(
        evidence.answers, defenses, generator=make_generator(config.seed, "defend", "challenges")
    )
    honest = Submission(view.proofs, responses)
    forged = (
        (name, forge(honest, evidence, make_generator(config.seed, "forge", name)))
        for name, forge in track(FORGERS.items(), "try forgers", len(FORGERS))
    )
    return Soundness(
        areas=separations(evidence, honest, forged),
        needs={name: verifier.needs for name, verifier in VERIFIERS},
    )
