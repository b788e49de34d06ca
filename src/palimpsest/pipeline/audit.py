"""Pipeline of an audit: train, unlearn, prove, defend, verify, attack, score, report."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from palimpsest.attacks import AuditorView, ModelsView, ServerAttack, ServerView
from palimpsest.config import AuditConfig
from palimpsest.datasets import ImageSet, load_data
from palimpsest.federation import Federation
from palimpsest.gradients import parameter_count
from palimpsest.models import load_parameters
from palimpsest.oracles import oracle_of
from palimpsest.pipeline.results.finish import finish
from palimpsest.pipeline.results.outcome import Federated, Outcome
from palimpsest.pipeline.results.result import AuditResult
from palimpsest.pipeline.stages.auditor import HeldModels, attack_as_auditor
from palimpsest.pipeline.stages.bounds import bound_attacks, check_outcome
from palimpsest.pipeline.stages.control_groups import (
    attack_control_groups,
    choose_control_groups,
    choose_strangers,
)
from palimpsest.pipeline.stages.defend import defend_stage
from palimpsest.pipeline.stages.federate import study_forgetting, train_original, unlearn_twice
from palimpsest.pipeline.stages.footprint import check_memory
from palimpsest.pipeline.stages.group_scores import Aggregation, score_groups
from palimpsest.pipeline.stages.groups import (
    calibration_view,
    divide_forgotten,
    groups_of,
    soundness_view,
    spread,
)
from palimpsest.pipeline.stages.membership import infer_membership
from palimpsest.pipeline.stages.portfolio import attempt_on_proofs, report_on_proofs
from palimpsest.pipeline.stages.preflight import (
    check_groups,
    check_knowledge,
    check_requirements,
    check_samples,
)
from palimpsest.pipeline.stages.prove import prove_stage
from palimpsest.pipeline.stages.recovered import Recovered
from palimpsest.pipeline.stages.scoring import Scored, score_batches, score_links
from palimpsest.pipeline.stages.server import attack_as_server, deal_batches
from palimpsest.pipeline.stages.soundness import measure_soundness
from palimpsest.pipeline.stages.verification import verify_proofs
from palimpsest.proofs import Groups, Proofs, Verdicts
from palimpsest.runs import Run
from palimpsest.unlearning import Request, make_request


# Long: the story of an audit, in the order of its stages.
def audit(
    config: AuditConfig,
    *,
    out: Path,
    data_dir: Path | None = None,
    replace: bool = False,
    siblings: Sequence[Path] = (),
    console: Console | None = None,
    command: str = "",
) -> AuditResult:
    """Run an audit, or resume one that was stopped.

    Args:
        config: The audit's configuration; see `read_config`.
        out: The run folder.
        data_dir: A folder that mirrors the published data sets; sets that it lacks come from the Hugging Face Hub.
        replace: Reuse a folder that holds another configuration, and keep its stages whose inputs are the same.
        siblings: Other run folders. Stages that they finished with the same inputs are reused.
        console: The console on which each stage prints a line. If omitted, nothing is printed.
        command: The shell command that the report shows.

    Returns:
        The run folder, the metrics and the report's verdict.

    Raises:
        PalimpsestError: The audit can't be carried out as configured; the message says what to change.
    """
    device = check_requirements(config, data_dir=data_dir)
    data = load_data(config.data, clients=config.federation.clients, seed=config.seed, data_dir=data_dir)
    federation = Federation(data, config.model, config.federation, config.seed, device)
    request = make_request(config.unlearning, data, seed=config.seed)
    _check(config, federation, request)

    quiet = Console(quiet=True)
    with Run.open(out, config, console=console or quiet, replace=replace, siblings=siblings) as run:
        original = train_original(run, federation, request, config.unlearning)
        unlearned, retrained = unlearn_twice(run, federation, request, original, config.unlearning)
        forgetting = study_forgetting(run, federation, request, original, unlearned, retrained)

        forgotten = data.train.subset(request.rows)
        before, after = (
            load_parameters(federation.network(), training.parameters).to(device)
            for training in (original, unlearned)
        )
        oracle = oracle_of(before, after, engine=config.oracle.engine, memory_budget=config.memory_budget)
        key = (original, unlearned, device)
        groups = divide_forgotten(run, config, request)
        clean = prove_stage(
            run,
            before,
            after,
            forgotten,
            memory_budget=config.memory_budget,
            key=key,
            groups=groups,
            granularity=config.proofs.granularity,
        )
        issued = defend_stage(run, clean, config)
        view = AuditorView(
            issued.vectors,
            oracle,
            data.auxiliary,
            device,
            config.memory_budget,
            group_sizes=() if groups is None else groups.sizes,
        )
        calibration = calibration_view(view, data.held_out, seed=config.seed)
        verdicts = verify_proofs(
            run, config.verification, issued, calibration.oracle, calibration.auxiliary, key=key
        )
        membership = infer_membership(
            run, config, federation, request, original, unlearned, oracle=oracle, issued=issued
        )

        federated = Federated(federation, original, unlearned, forgetting, membership)
        if isinstance(config.attack.build(), ServerAttack):
            scored = _attack_as_server(run, config, federated, request)
            aggregation = Aggregation(groups) if groups is not None else None
            outcome = Outcome(
                config, federated, scored, data.auxiliary, forgotten, verdicts, aggregation=aggregation
            )
            return finish(run, outcome, command=command)
        held = HeldModels(federation.network().to("meta"), before, after)
        outcome = _attack_as_auditor(
            run,
            config,
            federated,
            view,
            held,
            request=request,
            clean=clean,
            issued=issued,
            verdicts=verdicts,
            forgotten=forgotten,
            groups=groups,
        )
        return finish(run, outcome, command=command)


def _attack_as_auditor(
    run: Run,
    config: AuditConfig,
    federated: Federated,
    view: AuditorView,
    models: HeldModels,
    *,
    request: Request,
    clean: Proofs,
    issued: Proofs,
    verdicts: Verdicts,
    forgotten: ImageSet,
    groups: Groups | None,
) -> Outcome:
    """Attack the proofs, then compare the reconstructions with the forgotten images."""
    key, data = (federated.original, federated.unlearned), federated.federation.data

    def recover(run: Run, config: AuditConfig) -> Recovered:
        return attack_as_auditor(run, config, view, clean, issued, models=models, key=key)

    attempts = attempt_on_proofs(
        run, config, view.auxiliary, recover, architecture=True, aggregated=groups is not None
    )
    soundness = measure_soundness(run, config, soundness_view(view, seed=config.seed), key=key)
    # The forgotten images are used from here on, after the last reconstruction.
    links, aggregation = None, None
    if groups is None:
        links = score_links(run, config, view, forgotten, key=key)
        controls = choose_control_groups(data, request, seed=config.seed)
    else:
        # A control sample has a proof of its own, which an attack on groups can't read.
        controls = {}
        attempts = [
            dataclasses.replace(attempt, recovered=attempt.recovered and spread(attempt.recovered, groups))
            for attempt in attempts
        ]
        strangers = choose_strangers(data, request, seed=config.seed)
        aggregation = score_groups(run, config, view, forgotten, groups, strangers, key=key)
    bounds = bound_attacks(run, config, view, clean, models=models, key=key)
    worst = report_on_proofs(run, attempts, forgotten, view.auxiliary, links)
    check_outcome(config, bounds, links, worst.scored.scores)
    control_groups = attack_control_groups(run, config, worst.inverter, view, controls, key=key)
    return Outcome(
        config,
        federated,
        worst.scored,
        view.auxiliary,
        forgotten,
        verdicts,
        soundness,
        attack=worst.attack,
        members=worst.members,
        bounds=bounds,
        control_groups=control_groups,
        aggregation=aggregation,
    )


def _attack_as_server(run: Run, config: AuditConfig, federated: Federated, request: Request) -> Scored:
    """Attack the batches' gradients, then compare the reconstructions with the forgotten images."""
    retained, forgotten = deal_batches(federated.federation, config, request)
    recovered = attack_as_server(
        run,
        config,
        federated.federation,
        original=federated.original,
        unlearned=federated.unlearned,
        retained=retained,
        forgotten=forgotten,
    )
    return score_batches(
        run,
        config,
        recovered,
        forgotten=forgotten,
        retained=retained,
        public=federated.federation.data.auxiliary,
    )


def _check(config: AuditConfig, federation: Federation, request: Request) -> None:
    """Check before any computation that the audit can be carried out."""
    attack, data = config.attack.build(), federation.data
    server = isinstance(attack, ServerAttack)
    check_knowledge(attack, ServerView if server else ModelsView)
    check_samples(config.attack.name, attack, data.auxiliary)
    check_groups(config.attack.name, attack, aggregated=config.proofs.aggregated)
    dimension = parameter_count(federation.network())
    proofs = len(groups_of(config, request).sizes)
    check_memory(proofs, dimension, memory_budget=None if server else config.memory_budget)
