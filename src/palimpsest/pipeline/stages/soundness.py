"""What acceptance is worth: every verifier against every forger, with the clients' defenses in place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks import AuditorView
from palimpsest.config import AttackingConfig
from palimpsest.datasets import ImageSet
from palimpsest.defenses import apply_defenses
from palimpsest.metrics import separation
from palimpsest.oracles import Oracle
from palimpsest.pipeline.stages.auditor import defended_oracle
from palimpsest.pipeline.stages.footprint import evidence_rows
from palimpsest.progress import track
from palimpsest.proofs import FORGERS, RECOGNIZED, Evidence, Submission
from palimpsest.randomness import make_generator
from palimpsest.registry import VERIFIERS
from palimpsest.runs import Run
from palimpsest.storage import Record

_RESAMPLES = 200

Area = list[float]
"""Area under the ROC curve, and both ends of its 95 % interval."""


@dataclass(frozen=True)
class Soundness(Record):
    """How well each verifier tells each forger's proofs from the honest ones.

    Args:
        areas: Area under the ROC curve with both ends of its interval, by verifier and forger.
        needs: What each verifier has to know or do.
    """

    areas: dict[str, dict[str, Area]]
    needs: dict[str, str]

    @property
    def worst(self) -> dict[str, Area]:
        """Each verifier's area for the forger that deceives it best; one who recognizes challenges is left out."""
        return {
            name: min(
                (area for forger, area in areas.items() if forger != RECOGNIZED), key=lambda area: area[0]
            )
            for name, areas in self.areas.items()
        }


def measure_soundness(
    run: Run, config: AttackingConfig, view: AuditorView, *, key: Sequence[object]
) -> Soundness:
    """The stage `soundness`: the proofs as they were issued, against forged ones.

    Args:
        run: Where the stage is kept.
        config: Defenses and seed.
        view: What the auditor holds, with the proofs as they were issued.
        key: What the oracle's answers depend on.
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
    evidence: Evidence, honest: Submission, forged: Iterable[tuple[str, Submission]], *, seed: int
) -> dict[str, dict[str, Area]]:
    """The area of every registered verifier for every forged submission.

    Args:
        evidence: What the auditor made itself.
        honest: An honest party's submission.
        forged: Others' names and submissions; only one is held at a time.
        seed: Where the intervals' resamples come from.
    """
    suspicions = {name: verifier().prepare(evidence) for name, verifier in VERIFIERS}
    trusted = {name: suspicion(honest) for name, suspicion in suspicions.items()}
    areas: dict[str, dict[str, Area]] = {name: {} for name in suspicions}
    for forger, submission in forged:
        for name, suspicion in suspicions.items():
            areas[name][forger] = list(
                separation(
                    trusted[name],
                    suspicion(submission),
                    bootstrap=_RESAMPLES,
                    generator=make_generator(seed, "soundness", name, forger),
                )
            )
        # Before the next one is made: either may take as much memory as all proofs.
        del submission
    return areas


def gather_evidence(config: AttackingConfig, view: AuditorView) -> tuple[Evidence, ImageSet]:
    """What the auditor asks before it judges, and the samples that it challenges with."""
    order = torch.randperm(len(view.auxiliary), generator=make_generator(config.seed, "challenges"))
    most_own, most = evidence_rows(view.oracle.dimension, memory_budget=view.memory_budget)
    count = min(most, max(1, len(order) // 3))
    challenges = view.auxiliary.subset(order[:count])
    own = view.auxiliary.subset(order[count : count + most_own])
    oracle = defended_oracle(config, view, "soundness")
    imitated, answers = _ask(oracle, own), _ask(view.oracle, challenges)
    imitations, trials = (next(oracle.defend([answers])) for _ in range(2))
    return Evidence(reference=imitated, answers=answers, imitations=imitations, trials=trials), challenges


def _measure(config: AttackingConfig, view: AuditorView) -> Soundness:
    evidence, _ = gather_evidence(config, view)
    defenses = [defense.build() for defense in config.defenses]
    # The clients answer the challenges as they do everything, under their own secrets.
    responses = apply_defenses(
        evidence.answers, defenses, generator=make_generator(config.seed, "defend", "challenges")
    )
    honest = Submission(view.proofs, responses)
    forged = (
        (name, forge(honest, evidence, make_generator(config.seed, "forge", name)))
        for name, forge in track(FORGERS.items(), "try forgers", len(FORGERS))
    )
    return Soundness(
        areas=separations(evidence, honest, forged, seed=config.seed),
        needs={name: verifier.needs for name, verifier in VERIFIERS},
    )


def _ask(oracle: Oracle, samples: ImageSet) -> Tensor:
    return torch.cat([chunk.cpu() for chunk in oracle.differences(samples.images, samples.labels)])
