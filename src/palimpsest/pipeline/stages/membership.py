"""Stage that trains shadow federations, lets them unlearn, and runs the membership tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from palimpsest.config import AuditConfig
from palimpsest.federation import Federation, Training
from palimpsest.membership import (
    Answers,
    Assessment,
    Pool,
    ProofReadings,
    Split,
    assess_with_shadows,
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
from palimpsest.storage import Record
from palimpsest.unlearning import Request, Unlearning


@dataclass(frozen=True)
class Shadows(Record):
    """Outputs of the shadow models.

    Args:
        before: Logits of the candidates and the population before unlearning, `[shadows, samples, classes]`.
        after: Logits of the candidates after unlearning, `[shadows, candidates, classes]`.
    """

    before: Tensor
    after: Tensor


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
    """Run the stages `shadows` and `membership`.

    Args:
        run: The run that stores the stages. The shadow models are not kept.
        config: The unlearning method, and the settings of the tests.
        federation: Data, model and settings.
        request: Samples to forget and to retain.
        original: The trained model.
        unlearned: The unlearned model.
        oracle: Oracle of both models, for an attacker who also holds the proofs.
        issued: The proofs as handed in. They are compared with the candidates if each shows one sample undefended.

    Returns:
        Results of all tests, or None without shadow federations.

    Raises:
        UnlearningError: Too few samples of the forgotten classes were held out.
    """
    if not config.membership.shadows:
        return None
    generator = make_generator(config.seed, "membership", "candidates")
    pool = make_pool(federation.data, request, count=config.membership.pairs, generator=generator)
    answers = Answers(federation, pool)
    splits = make_splits(federation, pool, config.membership.shadows)
    shadows = run.stage(
        "shadows",
        Shadows,
        lambda scratch: _train_shadows(config, answers, splits, scratch),
        key=(original, unlearned, federation, config.unlearning, config.membership),
    )
    # Nothing can be compared with defended proofs or with those of groups but an imitation, as the linkage attack does.
    compared = None if config.defenses or config.proofs.aggregated else issued.vectors
    return run.stage(
        "membership",
        Assessment,
        lambda _: assess_with_shadows(
            answers,
            splits,
            original=original.parameters,
            unlearned=unlearned.parameters,
            shadows=shadows.before,
            unlearned_shadows=shadows.after,
            proofs=None if compared is None else _read_proofs(pool, oracle, compared),
        ),
        key=(shadows, compared, original, unlearned, federation),
    )


def _read_proofs(pool: Pool, oracle: Oracle, proofs: Tensor) -> ProofReadings:
    candidates = pool.data.train.subset(pool.rows)
    return compare_with_proofs(oracle.differences(candidates.images, candidates.labels), proofs)


def _train_shadows(config: AuditConfig, answers: Answers, splits: Sequence[Split], scratch: Path) -> Shadows:
    """Train the shadow federations, let them unlearn, and collect their outputs."""
    settings, before, after = config.unlearning, list[Tensor](), list[Tensor]()
    for split in track(splits, "shadow federations", len(splits)):
        place = scratch / f"shadow-{split.index:02d}"
        history = place / "history" if METHODS.get(settings.method).needs_history else None
        training = train_shadow(
            split, ensure=settings.ensure_participation, scratch=place / "training", history=history
        )
        before.append(answers(training.parameters))
        forgot = unlearn_shadow(split, training, settings, scratch=place / "unlearning", history=history)
        after.append(answers(forgot, population=False))
    return Shadows(torch.stack(before), torch.stack(after))
