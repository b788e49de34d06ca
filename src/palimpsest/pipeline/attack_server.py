"""Pipeline of a server attack on supplied gradients: attack, then score if the truth is known."""

from pathlib import Path

from palimpsest.artifacts import ArtifactsConfig, load_server_artifacts
from palimpsest.attacks import BatchReconstruction, ServerAttack
from palimpsest.pipeline.results.outcome import Outcome
from palimpsest.pipeline.stages.own_models import study_own_models
from palimpsest.pipeline.stages.recovered import Recovered
from palimpsest.pipeline.stages.scoring import score_batches
from palimpsest.randomness import make_generator
from palimpsest.runs import Run


def attack_gradients(run: Run, config: ArtifactsConfig, *, data_dir: Path | None, device: str) -> Outcome:
    """Attack the batches' gradients, and score the attack if the truth is known.

    Args:
        run: The run that stores the stages.
        config: The artifacts and the attack.
        data_dir: A folder that mirrors the published data sets.
        device: The attack's device, `cpu` or `cuda`.

    Returns:
        The results of all stages.

    Raises:
        PalimpsestError: An artifact is missing or inconsistent with another; the message names it.
    """
    attack = config.attack.build()
    assert isinstance(attack, ServerAttack), "preflight rejects other attacks"
    artifacts = load_server_artifacts(config, data_dir=data_dir, device=device)
    view = artifacts.view(attack, device=device, memory_budget=config.memory_budget)
    fingerprint = artifacts.models.fingerprint
    recovered = run.stage(
        "reconstructions",
        BatchReconstruction,
        lambda _: attack(view, generator=make_generator(config.seed, "attack")),
        key=(view.observation, view.public, view.labels, fingerprint, config.attack, config.seed),
    )
    scored = score_batches(
        run,
        config,
        Recovered(recovered),
        forgotten=artifacts.forgotten,
        retained=artifacts.retained,
        public=artifacts.public,
    )
    forgetting = study_own_models(run, artifacts.models, artifacts.forgotten, artifacts.public)
    return Outcome(config, artifacts, scored, artifacts.public, artifacts.forgotten, forgetting=forgetting)
