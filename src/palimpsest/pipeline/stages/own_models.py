"""Stages that measure forgetting and the soundness of verifiers on a user's own checkpoints."""

from palimpsest.artifacts import ArtifactsConfig, AuditorArtifacts, Models
from palimpsest.attacks import AuditorView
from palimpsest.datasets import SampleSet
from palimpsest.metrics import Forgetting
from palimpsest.pipeline.stages.soundness import Soundness, measure_soundness
from palimpsest.runs import Run
from palimpsest.unlearning import compare_models

_FEWEST_SAMPLES = 12
"""With fewer auxiliary samples, too few challenges are left to compare honest proofs with forged ones."""


def study_own_models(
    run: Run, models: Models | None, truth: SampleSet | None, auxiliary: SampleSet
) -> Forgetting | None:
    """Run the stage `forgetting`: measure how well a user's unlearned model forgot.

    Args:
        run: The run that stores the stage.
        models: The user's models; None without checkpoints.
        truth: The forgotten samples; None if they are unknown.
        auxiliary: The auxiliary samples, which stand for samples that were never trained on.

    Returns:
        Accuracies and membership inference of both models, or None if something is missing.
    """
    if models is None or truth is None or not set(truth.labels.tolist()) & set(auxiliary.labels.tolist()):
        return None

    return run.stage(
        "forgetting",
        Forgetting,
        lambda _: compare_models(models.original, models.unlearned, forgotten=truth, others=auxiliary),
        key=(models.fingerprint, truth, auxiliary),
    )


def study_own_proofs(
    run: Run,
    config: ArtifactsConfig,
    artifacts: AuditorArtifacts,
    view: AuditorView[SampleSet],
    *,
    key: tuple[object, ...],
) -> Soundness | None:
    """Run the stage `soundness` on a user's proofs.

    Args:
        run: The run that stores the stage.
        config: Defenses and seed.
        artifacts: The user's proofs and models.
        view: The auditor's view.
        key: Everything that the oracle's answers depend on.

    Returns:
        The areas under the ROC curves; None without checkpoints, because other oracles may limit or charge queries, or
        with too few auxiliary samples.
    """
    if (
        artifacts.models is None
        or view.remaining_queries is not None
        or len(view.auxiliary) < _FEWEST_SAMPLES
    ):
        return None
    return measure_soundness(run, config, view, key=key)
