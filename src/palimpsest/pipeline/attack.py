"""Pipeline of an attack on supplied proofs or gradients: verify, attack, score if the truth is known, report."""

import dataclasses
from pathlib import Path
from typing import Any

from rich.console import Console

from palimpsest.artifacts import ArtifactsConfig, AuditorArtifacts, load_auditor_artifacts
from palimpsest.attacks import AuditorView, Knowledge
from palimpsest.attacks.linkage import TRIALS
from palimpsest.datasets import SampleSet
from palimpsest.oracles import query_all
from palimpsest.pipeline.attack_server import attack_gradients
from palimpsest.pipeline.results.finish import finish
from palimpsest.pipeline.results.outcome import Outcome
from palimpsest.pipeline.results.reconstruction_table import read_vocabulary
from palimpsest.pipeline.results.result import AuditResult
from palimpsest.pipeline.stages.auditor import HeldModels, attack_as_auditor
from palimpsest.pipeline.stages.bounds import bound_attacks, check_outcome
from palimpsest.pipeline.stages.overlap import find_known_samples
from palimpsest.pipeline.stages.own_models import study_own_models, study_own_proofs
from palimpsest.pipeline.stages.portfolio import attempt_on_proofs, report_on_proofs
from palimpsest.pipeline.stages.preflight import (
    check_attack_on_artifacts,
    check_requirements,
    check_samples,
    settle_weights,
)
from palimpsest.pipeline.stages.recovered import Recovered
from palimpsest.pipeline.stages.scoring import score_links
from palimpsest.pipeline.stages.verification import verify_proofs
from palimpsest.progress import warn
from palimpsest.proofs import Proofs
from palimpsest.runs import Run


def attack(
    config: ArtifactsConfig,
    *,
    out: Path,
    data_dir: Path | None = None,
    replace: bool = False,
    console: Console | None = None,
    command: str = "",
) -> AuditResult:
    """Attack supplied proofs or gradients, or resume an attack. Nothing is trained except the attack.

    Args:
        config: The artifacts and the attack; see `read_artifacts_config`.
        out: The run folder.
        data_dir: A folder that mirrors the published data sets; sets that it lacks come from the Hugging Face Hub.
        replace: Reuse a folder that holds another configuration, and keep its stages whose inputs are the same.
        console: The console on which each stage prints a line. If omitted, nothing is printed.
        command: The shell command that the report shows.

    Returns:
        The run folder, the metrics and the report's verdict.

    Raises:
        PalimpsestError: An artifact is missing or inconsistent with another. The message names it, and `examine` gives
            details.
    """
    check_attack_on_artifacts(config, config.attack.build())
    config, changes = settle_weights(config)
    for change in changes:
        warn(change)
    device = check_requirements(config, data_dir=data_dir)
    # Fail before the attack runs if the vocabulary can't be read.
    words = read_vocabulary(config.vocabulary)
    with Run.open(out, config, console=console or Console(quiet=True), replace=replace) as run:
        if config.gradients is not None:
            return finish(
                run, attack_gradients(run, config, data_dir=data_dir, device=device), command=command
            )
        artifacts = load_auditor_artifacts(config, folder=run.folder, data_dir=data_dir, device=device)
        artifacts = dataclasses.replace(artifacts, notes=(*changes, *artifacts.notes))
        check_samples(config.attack.name, config.attack.build(), artifacts.auxiliary)
        view = artifacts.view(device=device, memory_budget=config.memory_budget)
        return finish(run, attack_proofs(run, config, artifacts, view), command=command, words=words)


def attack_proofs(
    run: Run, config: ArtifactsConfig, artifacts: AuditorArtifacts, view: AuditorView[Any]
) -> Outcome:
    """Verify the proofs, attack them, and score the attack if the truth is known.

    Args:
        run: The run that stores the stages.
        config: The artifacts and the attack.
        artifacts: The loaded artifacts.
        view: The auditor's view.

    Returns:
        The results of all stages.
    """
    key = (artifacts.oracle_source.fingerprint, view.remaining_queries)
    proofs, truth = artifacts.proofs, artifacts.truth
    verdicts = verify_proofs(
        run, config.verification, proofs, view.oracle, view.auxiliary, key=(*key, view.device)
    )
    linkable = truth if truth is not None and can_link(view, truth) else None
    # Input of the undefended baseline: the oracle's gradient differences of the forgotten samples.
    clean = undefended_proofs(run, view, linkable, key=key) if config.defenses and linkable else None
    held = artifacts.models
    models = HeldModels(held.architecture, held.original, held.unlearned) if held else None

    def recover(run: Run, config: ArtifactsConfig) -> Recovered:
        reads_models = Knowledge.PARAMETERS in config.attack.build().knowledge
        # The oracle may be another one than the models.
        attack_key = (*key, held.fingerprint) if held and reads_models else key
        return attack_as_auditor(run, config, view, clean, proofs, models=models, key=attack_key)

    attempts = attempt_on_proofs(run, config, view.auxiliary, recover, architecture=models is not None)
    soundness = study_own_proofs(run, config, artifacts, view, key=key)
    # The forgotten samples are used from here on, after the last reconstruction.
    links = score_links(run, config, view, linkable, key=key) if linkable else None
    bounds = bound_attacks(run, config, view, clean, models=models, key=key)
    worst = report_on_proofs(run, attempts, truth, artifacts.auxiliary, links)
    check_outcome(config, bounds, links, worst.scored.scores)
    overlap = find_known_samples(truth, artifacts.auxiliary)
    return Outcome(
        config,
        artifacts,
        worst.scored,
        artifacts.auxiliary,
        truth,
        verdicts,
        attack=worst.attack,
        members=worst.members,
        soundness=soundness,
        bounds=bounds,
        overlap=overlap,
        forgetting=study_own_models(run, artifacts.models, truth, artifacts.auxiliary),
    )


def undefended_proofs(
    run: Run, view: AuditorView[Any], truth: SampleSet, *, key: tuple[object, ...]
) -> Proofs:
    """Run the stage `undefended`: query the gradient differences of the forgotten samples.

    Args:
        run: The run that stores the stage.
        view: The auditor's view.
        truth: The forgotten samples.
        key: Everything that the oracle's answers depend on.

    Returns:
        Proofs without defenses, in the order of the samples.
    """
    return run.stage(
        "undefended",
        Proofs,
        lambda _: Proofs(query_all(view.oracle, truth)),
        key=(*key, truth),
    )


def can_link(view: AuditorView[Any], truth: SampleSet) -> bool:
    """Return True if the linkage attack is possible: with an unlimited oracle, and within twice the memory budget.

    Args:
        view: The auditor's view.
        truth: The forgotten samples.
    """
    # Imitated proofs, answers and imitations of the auditor's samples, answers and imitations of the candidates, the
    # proofs, and a copy of all of these while they are compared.
    vectors = 2 * (3 * min(TRIALS, len(view.auxiliary)) + 2 * len(truth) + len(view.proofs))
    return view.remaining_queries is None and 4 * view.oracle.dimension * vectors <= 2 * view.memory_budget
