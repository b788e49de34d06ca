"""The story of an attack on what somebody brings: verify, attack, score where the truth is there, report."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from palimpsest.artifacts.auditor import Pieces, gather
from palimpsest.artifacts.config import CaseConfig
from palimpsest.attacks import ArchitectView, AuditorView, Reconstruction, ServerAttack
from palimpsest.attacks.linkage import TRIALS
from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.errors import KnowledgeError
from palimpsest.metrics import (
    Belonging,
    SampleScores,
    evaluate_samples,
    measure_belonging,
    sample_errors,
    shuffle_pairs,
)
from palimpsest.pipeline.attack_server import attack_as_server
from palimpsest.pipeline.audit import choose_tau, confirm_forgotten, refuse_ignorance, refuse_kind, score
from palimpsest.pipeline.results.attack_outcome import CaseResults, metrics_tree, summary
from palimpsest.pipeline.results.attack_page import case_page
from palimpsest.pipeline.results.reconstruction_table import read_vocabulary, write_reconstructions
from palimpsest.pipeline.results.result import AuditResult
from palimpsest.pipeline.stages.auditor import attack_as_auditor
from palimpsest.proofs import Proofs, Verdicts, verify
from palimpsest.randomness import make_generator
from palimpsest.report import write_page
from palimpsest.runs import Run
from palimpsest.system.device import pick_device


def attack(
    config: CaseConfig,
    *,
    out: Path,
    data_dir: Path | None = None,
    replace: bool = False,
    console: Console | None = None,
    command: str = "",
) -> AuditResult:
    """Attack proofs or gradients that somebody brings, or go on with it; nothing is trained but the attack.

    Args:
        config: The case; see `read_case`.
        out: The run folder.
        data_dir: A folder that mirrors the published sets; what it lacks comes from the hub.
        replace: Go on in a folder that holds another case, keeping the stages that are the same.
        console: Where each stage prints a line; none prints nothing.
        command: What the report says to run to make it again.

    Raises:
        PalimpsestError: A piece is missing or does not fit another; the message says which, and `examine` says more.
    """
    device = pick_device(config.device)
    refuse_attack(config)
    # What can't be read shall be known before an hour is spent.
    read_vocabulary(config.vocabulary)
    with Run.open(out, config, console=console or Console(quiet=True), replace=replace) as run:
        if config.gradients is not None:
            return attack_as_server(run, config, data_dir=data_dir, device=device, command=command)
        pieces = gather(config, folder=run.folder, data_dir=data_dir, device=device)
        refuse_kind(config.attack.name, config.attack.components["name"], pieces.auxiliary)
        results = run_stages(
            run, config, pieces, pieces.view(device=device, memory_budget=config.memory_budget)
        )
        metrics = metrics_tree(results, run.seconds(), config.verification)
        if not isinstance(pieces.auxiliary, ImageSet):
            write_reconstructions(run.folder, results, config.vocabulary)
        write_page(run.folder, case_page(config, results, metrics, manifest=run.manifest, command=command))
        # The scores come last: where they stand, the run is done.
        run.finish(metrics)
        return AuditResult(run.folder, metrics, summary(results, metrics))


def refuse_attack(config: CaseConfig) -> None:
    """Refuse an attack that this attacker can't run.

    Raises:
        KnowledgeError: It is the other attacker's, or needs a model that was not brought.
    """
    chosen = config.attack.components["name"]
    if isinstance(chosen, ServerAttack) and config.gradients is None:
        raise KnowledgeError(
            f"{config.attack.name} is an attack from the server, which sees batches' gradients and not proofs: choose "
            "an auditor's, such as igf or igf-plus, or give gradients."
        )
    if config.gradients is not None:
        if not isinstance(chosen, ServerAttack):
            raise KnowledgeError(
                f"{config.attack.name} is an auditor's attack, which is made on proofs: choose a server's, such as "
                "dragd or dragdp, or give proofs."
            )
        if config.defenses:
            raise KnowledgeError(
                f"{config.attack.name} takes a client's gradients as they are and imitates no defence: leave defenses "
                "out, or have an audit defend them, which also attacks what they were before."
            )
        return
    refuse_ignorance(chosen, AuditorView if config.model is None else ArchitectView)


def run_stages(run: Run, config: CaseConfig, pieces: Pieces, view: AuditorView[Any]) -> CaseResults:
    """Verify, attack, and score where the truth is there; each stage is kept in the run folder."""
    key: Sequence[object] = (pieces.answering.fingerprint, view.remaining_queries)
    truth, may_ask = pieces.truth, pieces.truth is not None and can_confirm(view, pieces.truth)
    verdicts = run.stage(
        "verdicts",
        Verdicts,
        lambda _: verify(pieces.proofs, tau=choose_tau(config.verification, view.oracle, view.auxiliary)),
        key=(pieces.proofs, *key, config.verification, view.auxiliary, view.device),
    )
    # What the attack is worth without the defences: proofs of the true samples that the oracle makes without any.
    clean = undefended_proofs(run, view, truth, key=key) if config.defenses and truth and may_ask else None
    audited = attack_as_auditor(
        run,
        config,
        view,
        clean,
        pieces.proofs,
        architecture=pieces.models.architecture if pieces.models else None,
        key=key,
    )
    if truth is None:
        return CaseResults(pieces, verdicts, audited)
    if isinstance(truth, ImageSet) and isinstance(pieces.auxiliary, ImageSet):
        scored = functools.partial(score, run, config, truth, pieces.auxiliary)
    else:
        scored = functools.partial(score_samples, run, config, truth, pieces.auxiliary)
    scores = {"scores": scored("scores", audited.reconstruction)}
    scores |= {name: scored(f"scores-{name}", one) for name, one in audited.others.items()}
    confirmed = confirm_forgotten(run, config, view, truth, key=key) if may_ask else None
    belonging = belong(run, config, pieces, truth, audited.reconstruction)
    return CaseResults(pieces, verdicts, audited, scores, confirmed, belonging)


def undefended_proofs(run: Run, view: AuditorView[Any], truth: SampleSet, *, key: Sequence[object]) -> Proofs:
    """The stage `undefended`: the true samples' gradient differences, for a control."""
    return run.stage(
        "undefended",
        Proofs,
        lambda _: Proofs(
            torch.cat([chunk.cpu() for chunk in view.oracle.differences(truth.inputs, truth.labels)])
        ),
        key=(*key, truth),
    )


def belong(
    run: Run, config: CaseConfig, pieces: Pieces, truth: SampleSet, reconstruction: Reconstruction
) -> Belonging:
    """The stage `belonging`: do the reconstructions belong to their samples at all?"""

    def test(_: Path) -> Belonging:
        draw: dict[str, Any] = {
            "permutations": config.scoring.bootstrap,
            "generator": make_generator(config.seed, "belonging"),
        }
        if isinstance(truth, ImageSet):
            return measure_belonging(reconstruction.images, truth.images, truth.labels, **draw)
        errors = sample_errors(reconstruction.images, truth, pieces.auxiliary)
        return shuffle_pairs(errors, truth.labels, **draw)

    return run.stage(
        "belonging",
        Belonging,
        test,
        key=(reconstruction, truth, pieces.auxiliary, config.scoring.bootstrap, config.seed),
    )


def score_samples(
    run: Run,
    config: CaseConfig,
    forgotten: SampleSet,
    auxiliary: SampleSet,
    name: str,
    reconstruction: Reconstruction,
) -> SampleScores:
    """The stage of this name: reconstructed rows or sequences beside the originals."""
    return run.stage(
        name,
        SampleScores,
        lambda _: evaluate_samples(
            reconstruction.images,
            forgotten,
            auxiliary,
            bootstrap=config.scoring.bootstrap,
            generator=make_generator(config.seed, "bootstrap"),
        ),
        key=(reconstruction, forgotten, auxiliary, config.scoring, config.seed),
    )


def can_confirm(view: AuditorView[Any], truth: SampleSet) -> bool:
    """Whether the oracle may be asked about the forgotten samples too, and memory holds what is compared."""
    # Proofs, answers and imitations of own samples, answers and imitations of candidates, and as much while comparing.
    vectors = 2 * (3 * min(TRIALS, len(view.auxiliary)) + 2 * len(truth) + len(view.proofs))
    return view.remaining_queries is None and 4 * view.oracle.dimension * vectors <= 2 * view.memory_budget
