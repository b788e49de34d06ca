"""Stage that trains shadow federations, lets them unlearn, and runs the membership tests."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from palimpsest.config import AuditConfig
from palimpsest.federation import Federation, Training
from palimpsest.membership import (
    Answers,
    Assessment,
    Evidence,
    Pool,
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
from palimpsest.storage import Record
from palimpsest.unlearning import Request, Unlearning


@dataclass(frozen=True)
class Outputs(Record):
    """Outputs of all models on the candidates and the population; see `Evidence`.

    Args:
        labels: Classes, `[samples]` int64.
        original: Logits before unlearning, `[samples, classes]`.
        unlearned: Logits after unlearning, `[samples, classes]`.
        shadows: Logits of the shadow models before unlearning, `[shadows, samples, classes]`.
        unlearned_shadows: Their logits of the candidates after unlearning, `[shadows, candidates, classes]`.
        members: Which shadow model was trained on which candidate, `[shadows, candidates]` bool.
    """

    labels: Tensor
    original: Tensor
    unlearned: Tensor
    shadows: Tensor
    unlearned_shadows: Tensor
    members: Tensor


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
    outputs = run.stage(
        "shadows",
        Outputs,
        lambda scratch: _train_shadows(config, pool, original, unlearned, federation, scratch),
        key=(original, unlearned, federation, config.unlearning, config.membership),
    )
    # Nothing can be compared with defended proofs or with those of groups but an imitation, as the linkage attack does.
    compared = None if config.defenses or config.proofs.aggregated else issued.vectors
    return run.stage(
        "membership",
        Assessment,
        lambda _: _assess(outputs, pool, oracle, compared),
        key=(outputs, compared, original, unlearned, federation),
    )


def _assess(outputs: Outputs, pool: Pool, oracle: Oracle, proofs: Tensor | None) -> Assessment:
    readings = None
    if proofs is not None:
        candidates = pool.data.train.subset(pool.rows)
        readings = compare_with_proofs(oracle.differences(candidates.images, candidates.labels), proofs)
    evidence = Evidence(
        labels=outputs.labels,
        original=outputs.original,
        unlearned=outputs.unlearned,
        shadows=outputs.shadows,
        unlearned_shadows=outputs.unlearned_shadows,
        members=outputs.members,
        forgotten_pairs=len(pool.forgotten),
        retained_pairs=len(pool.retained),
        proofs=readings,
    )
    return assess(evidence, forgotten=pool.forgotten.members, retained=pool.retained.members)


def _train_shadows(
    config: AuditConfig,
    pool: Pool,
    original: Training,
    unlearned: Unlearning,
    federation: Federation,
    scratch: Path,
) -> Outputs:
    """Train the shadow federations, let them unlearn, and collect the outputs of all models."""
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
    return Outputs(
        labels=answers.labels,
        original=answers(original.parameters),
        unlearned=answers(unlearned.parameters),
        shadows=torch.stack(before),
        unlearned_shadows=torch.stack(after),
        members=torch.stack([split.members for split in splits]),
    )
