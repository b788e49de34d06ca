"""Pipeline of a server attack on supplied gradients: attack, then score if the truth is known."""

from pathlib import Path

from palimpsest.artifacts import ArtifactsConfig, ServerArtifacts, load_server_artifacts
from palimpsest.attacks import BatchReconstruction, ServerAttack, Strongest
from palimpsest.pipeline.results.outcome import Outcome
from palimpsest.pipeline.stages.control_server import attack_batches_aside, keep_batches_aside
from palimpsest.pipeline.stages.overlap import find_known_samples
from palimpsest.pipeline.stages.own_models import study_own_models
from palimpsest.pipeline.stages.portfolio import report_worst, single_attempt, try_members
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
    artifacts = load_server_artifacts(config, data_dir=data_dir, device=device)

    def recover(run: Run, config: ArtifactsConfig) -> Recovered:
        return recover_batches(run, config, artifacts, device=device)

    attack = config.attack.build()
    if isinstance(attack, Strongest):
        members = attack.against_gradients(labels=artifacts.observed.labels is not None)
        attempts = try_members(run, config, members, recover, minutes=attack.minutes(artifacts.public))
    else:
        attempts = single_attempt(run, config, recover)
    worst = report_worst(
        run,
        attempts,
        lambda attempt, recovered: score_batches(
            attempt.run,
            attempt.config,
            recovered,
            forgotten=artifacts.forgotten,
            retained=artifacts.retained,
            public=artifacts.public,
        ),
    )
    return Outcome(
        config,
        artifacts,
        worst.scored,
        artifacts.public,
        artifacts.forgotten,
        attack=worst.attack,
        members=worst.members,
        overlap=find_known_samples(artifacts.forgotten, artifacts.public),
        forgetting=study_own_models(run, artifacts.models, artifacts.forgotten, artifacts.public),
    )


def recover_batches(
    run: Run, config: ArtifactsConfig, artifacts: ServerArtifacts, *, device: str
) -> Recovered:
    """Run the stage `reconstructions`: attack the batches' gradients.

    Args:
        run: The run that stores the stage.
        config: The artifacts and the attack.
        artifacts: The loaded artifacts.
        device: The attack's device, `cpu` or `cuda`.

    Returns:
        The reconstructions, and the positive control.
    """
    attack = config.attack.build()
    assert isinstance(attack, ServerAttack), "preflight rejects other attacks"
    view = artifacts.view(attack, device=device, memory_budget=config.memory_budget)
    key = (artifacts.models.fingerprint, config.attack, config.seed)
    view, aside = keep_batches_aside(view, attack.control_size, seed=config.seed)
    recovered = run.stage(
        "reconstructions",
        BatchReconstruction,
        lambda _: attack(view, generator=make_generator(config.seed, "attack")),
        key=(view.observation, view.public, view.labels, view.mechanism, *key),
    )
    control = attack_batches_aside(run, view, attack, aside, config.defenses, seed=config.seed, key=key)
    return Recovered(recovered, control=control)
