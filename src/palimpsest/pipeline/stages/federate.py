"""Stages that train a federation, unlearn, retrain exactly, and measure forgetting."""

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
    """Run the stage `original`: train the federation.

    Args:
        run: The run that stores the stage.
        federation: Data, model and settings.
        request: The samples and clients to forget. With `unlearning.ensure_participation`, these clients take part in
            at least one round.
        unlearning: The unlearning settings. The clients' updates are kept if the method needs them.

    Returns:
        The trained model.
    """
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
    """Run the stage `unlearned` and, as a reference for approximate methods, the stage `retrained`.

    Args:
        run: The run that stores the stages.
        federation: Data, model and settings.
        request: The samples and clients to forget.
        original: The trained model.
        unlearning: The unlearning settings.

    Returns:
        The unlearned model and the exactly retrained one. They are the same if the method is `retrain` and does not use
        a fresh seed.
    """

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
    """Run the stage `forgetting`: measure how well the unlearned model forgot.

    Args:
        run: The run that stores the stage.
        federation: Data, model and settings.
        request: The forgotten samples and clients.
        original: The trained model.
        unlearned: The unlearned model.
        retrained: The exactly retrained model.

    Returns:
        Accuracies, membership inference and parameter distances of the three models.
    """
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
    """Return the folder for the clients' updates, or None if the unlearning method does not need them."""
    return run.folder / "history" if METHODS.get(unlearning.method).needs_history else None
