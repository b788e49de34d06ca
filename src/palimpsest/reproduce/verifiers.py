"""Verifier table: soundness of each verifier against every kind of party that did not retrain."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from torch import nn

from palimpsest.attacks import AuditorView
from palimpsest.config import AuditConfig
from palimpsest.datasets import ImageSet, load_data
from palimpsest.federation import Federation, Training, train
from palimpsest.metrics import separation
from palimpsest.models import load_parameters
from palimpsest.oracles import ModelOracle
from palimpsest.pipeline.stages.federate import train_original, unlearn_twice
from palimpsest.pipeline.stages.soundness import Area, as_area, gather_evidence, separations
from palimpsest.proofs import FORGERS, Evidence, Submission, prove
from palimpsest.randomness import derive_seed, make_generator
from palimpsest.registry import VERIFIERS
from palimpsest.runs import Run
from palimpsest.storage import Parameters, write_json, write_text
from palimpsest.system.device import pick_device
from palimpsest.unlearning import Request, make_request

METHODS = ("ascent", "federaser", "rapid")


@dataclass(frozen=True)
class VerifierRow:
    """Row of one kind of party.

    Args:
        party: Description of what the party did instead of retraining.
        areas: Area under the ROC curve and its interval, `[area, low, high]`, by verifier.
    """

    party: str
    areas: dict[str, Area]


def verifier_table(
    config: AuditConfig,
    *,
    out: Path,
    methods: Sequence[str] = METHODS,
    data_dir: Path | None = None,
    console: Console | None = None,
) -> list[VerifierRow]:
    """Compare honest proofs of exact retraining with other proofs, and write `verifiers.md` and `verifiers.json`.

    A party that unlearned approximately or not at all has another pair of models, and the auditor's evidence comes from
    that pair too. Forged proofs are judged by the evidence of the honest pair.

    Args:
        config: Data, model, federation and unlearning request.
        out: The folder of the table, with a run folder for each method.
        methods: Names of approximate unlearning methods, each with its defaults.
        data_dir: A folder that mirrors the data sets; None means the default folder.
        console: Console for the stages' output; if omitted, nothing is printed.

    Returns:
        A row for each approximate method, for two kinds of no unlearning, and for each forger.
    """
    device = pick_device(config.device)
    data = load_data(config.data, clients=config.federation.clients, seed=config.seed, data_dir=data_dir)
    federation = Federation(data, config.model, config.federation, config.seed, device)
    request = make_request(config.unlearning, data, seed=config.seed)
    forgotten = data.train.subset(request.rows)
    models = _train_models(config, federation, request, methods, out, console or Console(quiet=True))
    before = load_parameters(federation.network(), models["original"]).to(device)

    def submit(parameters: Parameters) -> tuple[Evidence, Submission]:
        after = load_parameters(federation.network(), parameters).to(device)
        return _submit(config, before, after, forgotten, data.auxiliary, device)

    evidence, honest = submit(models["retrain"])
    forged = {
        name: forge(honest, evidence, make_generator(config.seed, "forge", name))
        for name, forge in FORGERS.items()
    }
    by_verifier = separations(evidence, honest, forged.items())
    others = {f"approximate unlearning: {method}": models[method] for method in methods}
    others |= {"no unlearning: trained anew, nothing left out": models["anew"]}
    others |= {"no unlearning: the same model": models["original"]}
    rows = [
        VerifierRow(party, _between((evidence, honest), submit(parameters)))
        for party, parameters in others.items()
    ]
    rows += [
        VerifierRow(f"forged: {name}", {check: by_verifier[check][name] for check in by_verifier})
        for name in forged
    ]
    write_json(out / "verifiers.json", [{"party": row.party, **row.areas} for row in rows])
    write_text(out / "verifiers.md", markdown(rows))
    return rows


def markdown(rows: Sequence[VerifierRow]) -> str:
    """Format the table as Markdown.

    Args:
        rows: Rows of the table.
    """
    checks = [name for name, _ in VERIFIERS]
    lines = [f"| party | {' | '.join(checks)} |", f"| --- |{' --- |' * len(checks)}"]
    lines += [
        f"| {row.party} | "
        + " | ".join(
            f"{area:.2f} ({low:.2f} to {high:.2f})"
            for area, low, high in (row.areas[check] for check in checks)
        )
        + " |"
        for row in rows
    ]
    needs = [f"- `{name}` needs {verifier.needs}." for name, verifier in VERIFIERS]
    meaning = (
        "Area under the ROC curve, false against honest proofs. 1 means perfect separation, 0.5 is chance, and below "
        "0.5 false proofs look better than honest ones. Brackets: 95 % interval over the proofs of one run."
    )
    return "\n".join([*lines, "", meaning, "", *needs, ""])


def _train_models(
    config: AuditConfig,
    federation: Federation,
    request: Request,
    methods: Sequence[str],
    out: Path,
    console: Console,
) -> dict[str, Parameters]:
    """Train the models `original`, `retrain` and `anew`, and one for each method."""
    models: dict[str, Parameters] = {}
    for method in ("retrain", *methods):
        cell = config.model_copy(update={"unlearning": config.unlearning.by(method)})
        with Run.open(out / method, cell, console=console) as run:
            original = train_original(run, federation, request, cell.unlearning)
            models["original"] = original.parameters
            models[method] = unlearn_twice(run, federation, request, original, cell.unlearning)[0].parameters
            if method == "retrain":
                models["anew"] = _train_anew(run, federation).parameters
    return models


def _train_anew(run: Run, federation: Federation) -> Training:
    """Train the same federation on all of its data under another seed, as the stage `anew`."""
    seed = derive_seed(federation.seed, "nothing left out")
    return run.stage(
        "anew",
        Training,
        lambda scratch: train(
            replace(federation, seed=seed),
            scratch=scratch,
        ),
        key=(federation, seed),
    )


def _submit(
    config: AuditConfig,
    before: nn.Module,
    after: nn.Module,
    forgotten: ImageSet,
    auxiliary: ImageSet,
    device: str,
) -> tuple[Evidence, Submission]:
    """Return the auditor's evidence about a pair of models, and the submission of an honest client."""
    oracle = ModelOracle(before, after, memory_budget=config.memory_budget)
    proofs = prove(before, after, forgotten, memory_budget=config.memory_budget).vectors
    undefended = config.model_copy(update={"defenses": ()})
    evidence, _ = gather_evidence(
        undefended, AuditorView(proofs, oracle, auxiliary, device, config.memory_budget)
    )
    return evidence, Submission(proofs, evidence.answers)


def _between(honest: tuple[Evidence, Submission], other: tuple[Evidence, Submission]) -> dict[str, Area]:
    """Compute each verifier's area; each submission is judged by the evidence of its own pair of models."""
    return {
        name: as_area(
            separation(verifier().prepare(honest[0])(honest[1]), verifier().prepare(other[0])(other[1]))
        )
        for name, verifier in VERIFIERS
    }
