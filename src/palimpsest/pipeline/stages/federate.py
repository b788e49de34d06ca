"""Training, unlearning and exact retraining of an audit's federation."""

from pathlib import Path

from palimpsest.config import UnlearningConfig
from palimpsest.federation import Federation, Training, train
from palimpsest.metrics import Forgetting
from palimpsest.registry import METHODS
from palimpsest.runs import Run
from palimpsest.unlearning import Request, Unlearning, measure_forgetting, unlearn


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
            federation,
            ensure=ensure,
            scratch=scratch,
            history=history,
        ),
        key=(federation, ensure, history is not None),
    )


def unlearn_twice(
    run: Run, federation: Federation, request: Request, original: Training, unlearning: UnlearningConfig
) -> tuple[Unlearning, Unlearning]:
    """The stages `unlearned` and, where the method is not exact, `retrained`: what it is measured against."""

    def stage(name: str, config: UnlearningConfig) -> Unlearning:
        return run.stage(
            name,
            Unlearning,
            lambda scratch: unlearn(
                original,
                federation,
                request,
                config,
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
            federation,
            request,
        ),
        key=(original, unlearned, retrained, federation),
    )


def history_folder(run: Run, unlearning: UnlearningConfig) -> Path | None:
    """Where the clients' updates are kept, if the method needs them."""
    return run.folder / "history" if METHODS.get(unlearning.method).needs_history else None
