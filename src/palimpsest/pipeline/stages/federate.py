"""The federation's side of an audit: it trains, unlearns, and hands in proofs."""

import json
from pathlib import Path

from palimpsest.config import DefendingConfig, UnlearningConfig
from palimpsest.defenses import apply_defenses, describe
from palimpsest.federation import Federation, Training, train
from palimpsest.proofs import Proofs
from palimpsest.randomness import make_generator
from palimpsest.registry import METHODS
from palimpsest.runs import Run
from palimpsest.unlearning import Forgetting, Request, Unlearning, measure_forgetting, unlearn


def train_original(
    run: Run, federation: Federation, request: Request, unlearning: UnlearningConfig
) -> Training:
    """The stage `original`: train, with the unlearning clients in at least one round if that is asked for."""
    ensure = request.clients if unlearning.ensure_participation else ()
    history = history_folder(run, unlearning)
    return run.stage(
        "original",
        Training,
        lambda scratch: train(
            federation.data,
            federation.model,
            federation.config,
            seed=federation.seed,
            device=federation.device,
            ensure=ensure,
            scratch=scratch,
            history=history,
        ),
        key=(federation, ensure, history is not None),
    )


def unlearn_twice(
    run: Run, federation: Federation, original: Training, unlearning: UnlearningConfig
) -> tuple[Unlearning, Unlearning]:
    """The stages `unlearned` and, where the method is not exact, `retrained`: what it is measured against."""

    def stage(name: str, config: UnlearningConfig) -> Unlearning:
        return run.stage(
            name,
            Unlearning,
            lambda scratch: unlearn(
                original,
                federation.data,
                federation.model,
                federation.config,
                config,
                seed=federation.seed,
                device=federation.device,
                scratch=scratch,
                history=history_folder(run, config),
            ),
            key=(original, federation, config),
        )

    unlearned = stage("unlearned", unlearning)
    if unlearning.method == "retrain" and not unlearning.fresh_seed:
        return unlearned, unlearned
    return unlearned, stage("retrained", unlearning.by("retrain"))


def study_forgetting(
    run: Run,
    federation: Federation,
    request: Request,
    original: Training,
    unlearned: Unlearning,
    retrained: Unlearning,
) -> Forgetting:
    """The stage `forgetting`: how well was it forgotten?"""
    return run.stage(
        "forgetting",
        Forgetting,
        lambda _: measure_forgetting(
            original.parameters,
            unlearned.parameters,
            retrained.parameters,
            federation.data,
            request,
            model=federation.model,
            device=federation.device,
        ),
        key=(original, unlearned, retrained, federation),
    )


def history_folder(run: Run, unlearning: UnlearningConfig) -> Path | None:
    """Where the clients' updates are kept, if the method needs them."""
    return run.folder / "history" if METHODS.get(unlearning.method).needs_history else None


def defend_proofs(proofs: Proofs, config: DefendingConfig) -> Proofs:
    """Proofs as they leave the clients: every defence applied in order, and named in the metadata."""
    defenses = [defense.build() for defense in config.defenses]
    vectors = apply_defenses(proofs.vectors, defenses, generator=make_generator(config.seed, "defend"))
    return Proofs(vectors, proofs.metadata | {"defenses": json.dumps(describe(defenses))})
