"""Stage that trains shadow federations, lets them unlearn, and runs the membership tests."""

from pathlib import Path

import torch

from palimpsest.config import AuditConfig
from palimpsest.federation import Federation, Training
from palimpsest.membership import (
    Answers,
    Assessment,
    Evidence,
    Pool,
    ProofReadings,
    assess,
    compare_with_proofs,
    make_pool,
    make_splits,
    train_shadow,
    unlearn_shadow,
)
from palimpsest.oracles import Oracle
from palimpsest.progress import track
from palimpsest.proofs import Proofs
from palimpsest.randomness import make_generator
from palimpsest.registry import METHODS
from palimpsest.runs import Run
from palimpsest.unlearning import Request, Unlearning


def infer_membership(
    run: Run,
    config: AuditConfig,
    federation: Federation,
    request: Request,
    original: Training,
    unlearned: Unlearning,
    *,
    oracle: Oracle,
    issued: Proofs,
) -> Assessment | None:
    """Run the stage `membership`.

    Args:
        run: The run that stores the stage. The shadow models are not kept.
        config: The unlearning method, and the settings of the tests.
        federation: Data, model and settings.
        request: Samples to forget and to retain.
        original: The trained model.
        unlearned: The unlearned model.
        oracle: Oracle of both models, for an attacker who also holds the proofs.
        issued: The proofs as handed in.

    Returns:
        Results of all tests, or None without shadow federations.

    Raises:
        UnlearningError: Too few samples of the forgotten classes were held out.
    """
    if not config.membership.shadows:
        return None
    generator = make_generator(config.seed, "membership", "candidates")
    pool = make_pool(federation.data, request, count=config.membership.pairs, generator=generator)
    candidates = pool.data.train.subset(pool.rows)

    def read_proofs() -> ProofReadings:
        return compare_with_proofs(oracle.differences(candidates.images, candidates.labels), issued.vectors)

    return run.stage(
        "membership",
        Assessment,
        lambda scratch: _assess(
            config, pool, original, unlearned, federation=federation, scratch=scratch, proofs=read_proofs()
        ),
        key=(original, unlearned, federation, config.unlearning, config.membership, issued.vectors),
    )


def _assess(
    config: AuditConfig,
    pool: Pool,
    original: Training,
    unlearned: Unlearning,
    *,
    federation: Federation,
    scratch: Path,
    proofs: ProofReadings,
) -> Assessment:
    answers, settings = Answers(federation, pool), config.unlearning
    splits = make_splits(federation, pool, config.membership.shadows)
    before, after = [], []
    for split in track(splits, "shadow federations", len(splits)):
        place = scratch / f"shadow-{split.index:02d}"
        history = place / "history" if METHODS.get(settings.method).needs_history else None
        training = train_shadow(
            split, ensure=settings.ensure_participation, scratch=place / "training", history=history
        )
        before.append(answers(training.parameters))
        forgot = unlearn_shadow(split, training, settings, scratch=place / "unlearning", history=history)
        after.append(answers(forgot, population=False))
    evidence = Evidence(
        labels=answers.labels,
        original=answers(original.parameters),
        unlearned=answers(unlearned.parameters),
        shadows=torch.stack(before),
        unlearned_shadows=torch.stack(after),
        members=torch.stack([split.members for split in splits]),
        forgotten_pairs=len(pool.forgotten),
        retained_pairs=len(pool.retained),
        proofs=proofs,
    )
    return assess(evidence, forgotten=pool.forgotten.members, retained=pool.retained.members)
