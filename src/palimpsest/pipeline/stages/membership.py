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
    assess,
    make_pool,
    make_splits,
    train_shadow,
    unlearn_shadow,
)
from palimpsest.progress import track
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
) -> Assessment | None:
    """Run the stage `membership`.

    Args:
        run: The run that stores the stage. The shadow models are not kept.
        config: The unlearning method, and the settings of the tests.
        federation: Data, model and settings.
        request: Samples to forget and to retain.
        original: The trained model.
        unlearned: The unlearned model.

    Returns:
        Results of all tests, or None without shadow federations.

    Raises:
        UnlearningError: Too few samples of the forgotten classes were held out.
    """
    if not config.membership.shadows:
        return None
    generator = make_generator(config.seed, "membership", "candidates")
    pool = make_pool(federation.data, request, count=config.membership.pairs, generator=generator)
    return run.stage(
        "membership",
        Assessment,
        lambda scratch: _assess(config, federation, pool, original, unlearned, scratch),
        key=(original, unlearned, federation, config.unlearning, config.membership),
    )


def _assess(
    config: AuditConfig,
    federation: Federation,
    pool: Pool,
    original: Training,
    unlearned: Unlearning,
    scratch: Path,
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
    )
    return assess(evidence, forgotten=pool.forgotten.members, retained=pool.retained.members)
