"""The story of an audit, on one page: train, unlearn, prove, defend, verify, attack, score, report."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from palimpsest.attacks import ArchitectView, Attack, AuditorView, Reconstruction, ServerAttack, ServerView
from palimpsest.config import AttackingConfig, AuditConfig, VerificationConfig
from palimpsest.datasets import ImageSet, SampleSet, load_data
from palimpsest.errors import KnowledgeError
from palimpsest.federation import Federation
from palimpsest.gradients import parameter_count
from palimpsest.metrics import (
    Belonging,
    ConfirmationScores,
    Scores,
    evaluate,
    measure_belonging,
    score_confirmation,
)
from palimpsest.models import load_parameters
from palimpsest.oracles import Oracle, oracle_of
from palimpsest.pipeline.results.metrics_json import metrics_tree, report_input, verdict_text
from palimpsest.pipeline.results.outcome import Confirmed, Results
from palimpsest.pipeline.results.result import AuditResult
from palimpsest.pipeline.stages.auditor import attack_as_auditor, confirm_candidates
from palimpsest.pipeline.stages.federate import defend_proofs, study_forgetting, train_original, unlearn_twice
from palimpsest.pipeline.stages.footprint import refuse_what_does_not_fit
from palimpsest.pipeline.stages.server import attack_from_server
from palimpsest.pipeline.stages.soundness import measure_soundness
from palimpsest.proofs import Proofs, Verdicts, calibrate_tau, proof_norms, prove, verify
from palimpsest.randomness import make_generator
from palimpsest.registry import ATTACKS
from palimpsest.report import write_page
from palimpsest.runs import Run, default_folder
from palimpsest.system.device import pick_device
from palimpsest.unlearning import make_request


def audit(
    config: AuditConfig,
    *,
    out: Path | None = None,
    data_dir: Path | None = None,
    replace: bool = False,
    siblings: Sequence[Path] = (),
    console: Console | None = None,
    command: str = "",
) -> AuditResult:
    """Run one audit, or go on with one that was stopped.

    Args:
        config: What to do; see `read_config`.
        out: The run folder; none for one named after the configuration, under `runs/`.
        data_dir: A folder that mirrors the data sets; what it lacks comes from the hub.
        replace: Go on in a folder that holds another configuration, keeping the stages that are the same.
        siblings: Other runs' folders: stages that they finished with the same inputs are taken from there.
        console: Where each stage prints a line; none prints nothing.
        command: What the report says to run to make it again.

    Raises:
        PalimpsestError: What was asked for can't be done; the message says what to change.
    """
    device, seed, budget = pick_device(config.device), config.seed, config.memory_budget
    data = load_data(config.data, clients=config.federation.clients, seed=seed, data_dir=data_dir)
    request = make_request(config.unlearning, data, seed=seed)
    federation = Federation(data, config.model, config.federation, seed, device)
    before, after = federation.network(), federation.network()
    attack = config.attack.build()
    refuse_ignorance(attack, ServerView if isinstance(attack, ServerAttack) else ArchitectView)
    refuse_kind(config.attack.name, attack, data.auxiliary)
    judged = None if isinstance(attack, ServerAttack) else budget
    refuse_what_does_not_fit(len(request.rows), parameter_count(before), memory_budget=judged)
    folder = out or default_folder("audit", config)

    quiet = Console(quiet=True)
    with Run.open(folder, config, console=console or quiet, replace=replace, siblings=siblings) as run:
        original = train_original(run, federation, request, config.unlearning)
        unlearned, retrained = unlearn_twice(run, federation, original, config.unlearning)
        forgotten = data.train.subset(unlearned.forgotten)
        forgetting = study_forgetting(run, federation, request, original, unlearned, retrained)
        load_parameters(before, original.parameters).to(device)
        load_parameters(after, unlearned.parameters).to(device)
        oracle = oracle_of(before, after, engine=config.oracle.engine, memory_budget=budget)
        proofs = run.stage(
            "proofs",
            Proofs,
            lambda _: prove(before, after, forgotten, memory_budget=budget),
            key=(original, unlearned, forgotten, device),
        )
        clean = proofs
        if config.defenses:
            proofs = run.stage(
                "defended", Proofs, lambda _: defend_proofs(clean, config), key=(clean, config.defenses, seed)
            )
        verdicts = run.stage(
            "verdicts",
            Verdicts,
            lambda _: verify(proofs, tau=choose_tau(config.verification, oracle, data.held_out)),
            key=(proofs, original, unlearned, config.verification, data.held_out, device),
        )
        # Between here and the scores, no reconstruction is made with a forgotten image in sight.
        served, audited, confirmed, soundness = None, None, None, None
        if isinstance(attack, ServerAttack):
            served = attack_from_server(run, federation, config, request, original, unlearned)
            reconstruction: Reconstruction = served.reconstruction
        else:
            view = AuditorView(proofs.vectors, oracle, data.auxiliary, device, budget)
            audited = attack_as_auditor(
                run,
                config,
                view,
                clean,
                proofs,
                architecture=federation.network().to("meta"),
                key=(original, unlearned),
            )
            reconstruction = audited.reconstruction
            confirmed = confirm_forgotten(run, config, view, forgotten, key=(original, unlearned))
            soundness = measure_soundness(run, config, view, key=(original, unlearned))
        scored = functools.partial(score, run, config, forgotten, data.auxiliary)
        scores = scored("scores", reconstruction)
        others = (
            {name: scored(f"scores-{name}", one) for name, one in audited.others.items()} if audited else {}
        )
        control = others.get("undefended")
        if served is not None and served.undefended is not None:
            control = scored("scores-undefended", served.undefended)
        belonging = None
        if served is None or config.observation.forgotten == 1:
            belonging = run.stage(
                "belonging",
                Belonging,
                lambda _: measure_belonging(
                    reconstruction.images,
                    forgotten.images,
                    forgotten.labels,
                    permutations=config.scoring.bootstrap,
                    generator=make_generator(seed, "belonging"),
                ),
                key=(reconstruction, forgotten, config.scoring.bootstrap, seed),
            )
        results = Results(
            config,
            data,
            original,
            unlearned,
            forgetting,
            verdicts,
            reconstruction,
            scores,
            served,
            others,
            confirmed,
            soundness,
            belonging,
            control,
        )
        metrics = metrics_tree(results, run.seconds())
        page = report_input(results, metrics, manifest=run.manifest, command=command)
        write_page(run.folder, page)
        # The scores come last: where they stand, the run is done.
        run.finish(metrics)
        return AuditResult(run.folder, metrics, verdict_text(page))


def choose_tau(verification: VerificationConfig, oracle: Oracle, held_out: SampleSet) -> float:
    """The verifier's threshold: as given, or what held-out samples' differences pass."""
    if verification.tau != "calibrated":
        return verification.tau
    norms = torch.cat([proof_norms(chunk) for chunk in oracle.differences(held_out.inputs, held_out.labels)])
    return calibrate_tau(norms, quantile=verification.quantile)


def score(
    run: Run,
    config: AttackingConfig,
    forgotten: ImageSet,
    auxiliary: ImageSet,
    name: str,
    reconstruction: Reconstruction,
) -> Scores:
    """The stage of this name: reconstructions beside the originals."""
    return run.stage(
        name,
        Scores,
        lambda _: evaluate(
            reconstruction.images,
            forgotten,
            auxiliary,
            lpips_network=config.scoring.lpips_network,
            metrics=config.scoring.metrics,
            bootstrap=config.scoring.bootstrap,
            generator=make_generator(config.seed, "bootstrap"),
        ),
        key=(reconstruction, forgotten, auxiliary, config.scoring, config.seed),
    )


def confirm_forgotten(
    run: Run, config: AttackingConfig, view: AuditorView[Any], forgotten: SampleSet, *, key: Sequence[object]
) -> Confirmed:
    """Could an auditor who holds the forgotten samples tell which proof is whose? They are given in random order."""
    order = torch.randperm(len(forgotten), generator=make_generator(config.seed, "candidates"))
    confirmation = confirm_candidates(run, config, view, forgotten.subset(order), key=key)
    scores = run.stage(
        "scores-confirmation",
        ConfirmationScores,
        lambda _: score_confirmation(confirmation.scores, order.argsort()),
        key=(confirmation,),
    )
    return Confirmed(confirmation.statistic, scores)


def refuse_ignorance(attack: Attack | ServerAttack, view: type[AuditorView | ServerView]) -> None:
    """Refuse an attack that needs more than its attacker holds.

    Raises:
        KnowledgeError: Names what is missing.
    """
    missing = attack.knowledge - view.knowledge
    if missing:
        attacker = "a server" if view is ServerView else "an auditor"
        raise KnowledgeError(
            f"{type(attack).__name__} needs to know {'; '.join(sorted(missing))}, which {attacker} does not: choose "
            "another attack."
        )


def refuse_kind(name: str, attack: Attack | ServerAttack, samples: SampleSet) -> None:
    """Refuse an attack that reconstructs another kind of samples.

    Args:
        name: The attack's.
        attack: Itself.
        samples: The attacker's own.

    Raises:
        KnowledgeError: Names the attacks on such samples.
    """
    takes = attack.takes if isinstance(attack, Attack) else ImageSet
    if not isinstance(samples, takes):
        fitting = [
            other
            for other, kind in ATTACKS
            if issubclass(kind, Attack) and issubclass(type(samples), kind.takes)
        ]
        raise KnowledgeError(
            f"{name} reconstructs {takes.kind}, and {samples.name} holds {samples.kind}: choose {' or '.join(fitting)}."
        )
