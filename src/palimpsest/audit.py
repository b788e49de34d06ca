"""The story of an audit, on one page: train, unlearn, prove, defend, verify, attack, score, report."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from palimpsest.attacks import (
    ArchitectView,
    Attack,
    AuditorView,
    Knowledge,
    Reconstruction,
    ServerAttack,
    ServerView,
)
from palimpsest.config import AuditConfig, UnlearningConfig, VerificationConfig
from palimpsest.datasets import ImageSet, load_data
from palimpsest.defenses import apply_defenses, describe
from palimpsest.errors import ConfigurationError, KnowledgeError
from palimpsest.federation import Federation, Training, train
from palimpsest.gradients import ModelOracle, Oracle
from palimpsest.metrics import Scores, evaluate
from palimpsest.models import load_parameters
from palimpsest.proofs import Proofs, Verdicts, calibrate_tau, proof_norms, prove, verify
from palimpsest.randomness import make_generator
from palimpsest.records import write_json, write_text
from palimpsest.registry import METHODS
from palimpsest.report import render_report
from palimpsest.results import Results, metrics_tree, report_input, verdict_text
from palimpsest.runs import Run
from palimpsest.server_side import attack_from_server
from palimpsest.unlearning import Forgetting, Request, Unlearning, make_request, measure_forgetting, unlearn


@dataclass(frozen=True)
class AuditResult:
    """What an audit leaves behind.

    Args:
        folder: The run folder.
        metrics: What `metrics.json` holds.
        verdict: The report's first sentences.
    """

    folder: Path
    metrics: dict[str, Any]
    verdict: str


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
    attack = config.attack.components["name"]
    refuse_ignorance(attack, ServerView if isinstance(attack, ServerAttack) else ArchitectView)
    folder = out or default_folder("audit", config)

    quiet = Console(quiet=True)
    with Run.open(folder, config, console=console or quiet, replace=replace, siblings=siblings) as run:
        original = train_original(run, federation, request, config.unlearning)
        unlearned, retrained = unlearn_twice(run, federation, original, config.unlearning)
        forgotten = data.train.subset(unlearned.forgotten)
        forgetting = study_forgetting(run, federation, request, original, unlearned, retrained)
        load_parameters(before, original.parameters).to(device)
        load_parameters(after, unlearned.parameters).to(device)
        oracle = ModelOracle(before, after, memory_budget=budget)
        proofs = run.stage(
            "proofs",
            Proofs,
            lambda _: prove(before, after, forgotten, memory_budget=budget),
            key=(original, unlearned, forgotten, device),
        )
        if config.defenses:
            clean = proofs
            proofs = run.stage(
                "defended", Proofs, lambda _: defend_proofs(clean, config), key=(clean, config.defenses, seed)
            )
        verdicts = run.stage(
            "verdicts",
            Verdicts,
            lambda _: verify(proofs, tau=choose_tau(config.verification, oracle, data.held_out)),
            key=(proofs, original, unlearned, config.verification, data.held_out, device),
        )
        # Between here and the score, no attack is given a forgotten image.
        served = None
        if isinstance(attack, ServerAttack):
            served = attack_from_server(run, federation, config, request, original, unlearned)
            reconstruction: Reconstruction = served.reconstruction
        else:
            view = attacker_view(
                attack,
                AuditorView(proofs.vectors, oracle, data.auxiliary, device, budget),
                architecture=federation.network().to("meta"),
            )
            reconstruction = run.stage(
                "reconstructions",
                Reconstruction,
                lambda scratch: attack(
                    dataclasses.replace(view, scratch=scratch), generator=make_generator(seed, "attack")
                ),
                key=(proofs, original, unlearned, data.auxiliary, config.attack, seed, device),
            )
        scores = run.stage(
            "scores",
            Scores,
            lambda _: evaluate(
                reconstruction.images,
                forgotten,
                data.auxiliary,
                lpips_network=config.scoring.lpips_network,
                bootstrap=config.scoring.bootstrap,
                generator=make_generator(seed, "bootstrap"),
            ),
            key=(reconstruction, forgotten, data.auxiliary, config.scoring, seed),
        )
        results = Results(
            config, data, original, unlearned, forgetting, verdicts, reconstruction, scores, served
        )
        metrics = metrics_tree(results, run.seconds())
        write_json(run.folder / "metrics.json", metrics)
        page = report_input(results, metrics, manifest=run.manifest, command=command)
        write_text(run.folder / "report.html", render_report(page))
        return AuditResult(run.folder, metrics, verdict_text(page))


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


def defend_proofs(proofs: Proofs, config: AuditConfig) -> Proofs:
    """Proofs as they leave the clients: every defence applied in order, and named in the metadata."""
    defenses = [defense.components["name"] for defense in config.defenses]
    vectors = apply_defenses(proofs.vectors, defenses, generator=make_generator(config.seed, "defend"))
    return Proofs(vectors, proofs.metadata | {"defenses": json.dumps(describe(defenses))})


def choose_tau(verification: VerificationConfig, oracle: Oracle, held_out: ImageSet) -> float:
    """The verifier's threshold: as given, or what held-out samples' differences pass."""
    if verification.tau != "calibrated":
        return verification.tau
    norms = torch.cat([proof_norms(chunk) for chunk in oracle.differences(held_out.images, held_out.labels)])
    return calibrate_tau(norms, quantile=verification.quantile)


def attacker_view(attack: Attack, view: AuditorView, *, architecture: nn.Module) -> AuditorView:
    """What the attack is given: the grey box, and the model's layers only if it declares that it knows them."""
    if Knowledge.ARCHITECTURE not in attack.knowledge:
        return view
    return ArchitectView(
        **{item.name: getattr(view, item.name) for item in fields(view)}, architecture=architecture
    )


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


def default_folder(name: str, config: AuditConfig) -> Path:
    """The run folder of a configuration: the same command finds its unfinished run again."""
    digest = sha256(config.model_dump_json().encode()).hexdigest()[:8]
    return Path("runs") / f"{Path(name).stem}-{digest}"


def pick_device(wanted: str) -> str:
    """The device that a configuration means.

    Raises:
        ConfigurationError: CUDA is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ConfigurationError(
            "device is cuda, and no GPU answers: use --device cpu, or a CUDA build of torch."
        )
    return "cuda" if wanted != "cpu" and available else "cpu"
