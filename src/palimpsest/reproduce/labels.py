"""Label table: share of the forgotten samples' classes that a server infers, by rule and batch size."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from palimpsest.attacks import ServerView
from palimpsest.attacks.matching.label_inference import (
    INFERRING,
    believed_labels,
    bias_difference_rule,
    last_layer,
)
from palimpsest.config import AuditConfig
from palimpsest.datasets import ImageSet, load_data
from palimpsest.federation import Federation, Training
from palimpsest.gradients import gradient_differences
from palimpsest.metrics import Rate, label_recovery, share
from palimpsest.models import load_parameters
from palimpsest.pipeline.stages.federate import train_original, unlearn_twice
from palimpsest.pipeline.stages.server import unlabeled_view
from palimpsest.randomness import make_generator
from palimpsest.runs import Run
from palimpsest.storage import write_json, write_text
from palimpsest.system.device import pick_device
from palimpsest.unlearning import Request, Unlearning, make_request

SAMPLES = 100
SIZES = (1, 2, 5, 10, 20, 50)
_NAMES = {
    "inferred": "inferred: negative entries of the bias gradient, then counting",
    "inferred-sign": "inferred-sign: sign rule of iDLG",
    "inferred-difference": "inferred-difference: change of the bias gradient between the two models",
    "probed": "probed: black-box probing of GIAMU",
}


@dataclass(frozen=True)
class LabelRow:
    """Row of one inference rule.

    Args:
        rule: Description of a value of `attack.labels`, or of a baseline.
        right: Share of the forgotten samples' classes that the rule recovered, by number of forgotten samples in a
            batch.
    """

    rule: str
    right: dict[int, Rate]


def label_table(
    config: AuditConfig,
    *,
    out: Path,
    samples: int = SAMPLES,
    sizes: Sequence[int] = SIZES,
    data_dir: Path | None = None,
    console: Console | None = None,
) -> list[LabelRow]:
    """Unlearn samples, infer their classes by every rule, and write `labels.md` and `labels.json`.

    Args:
        config: Data, model, federation, unlearning, and the number of retained samples in a batch.
        out: The folder of the table, which also holds the models' run folder.
        samples: Number of samples to forget.
        sizes: Numbers of forgotten samples in a batch; each must divide `samples`.
        data_dir: A folder that mirrors the data sets; None means the default folder.
        console: Console for the stages' output; if omitted, nothing is printed.

    Returns:
        A row for each rule, then the baselines: random classes, and the rule of an auditor on single proofs.
    """
    unlearning = config.unlearning.model_copy(update={"count": samples, "fraction": None})
    config = config.model_copy(update={"unlearning": unlearning})
    data = load_data(config.data, clients=config.federation.clients, seed=config.seed, data_dir=data_dir)
    federation = Federation(data, config.model, config.federation, config.seed, pick_device(config.device))
    request = make_request(config.unlearning, data, seed=config.seed)
    with Run.open(out / "models", config, console=console or Console(quiet=True), replace=True) as run:
        original = train_original(run, federation, request, config.unlearning)
        unlearned, _ = unlearn_twice(run, federation, request, original, config.unlearning)
    truth = data.train.subset(request.rows).labels
    found: dict[str, dict[int, Rate]] = {_NAMES[mode]: {} for mode in INFERRING}
    random_guesses = found["random classes"] = {}
    for size in sizes:
        view = _view(federation, config, request, original, unlearned, size)
        generator = make_generator(config.seed, "labels", size)
        for mode in INFERRING:
            believed = believed_labels(view, mode, view.observation.difference, generator=generator)
            assert believed is not None, "every mode in INFERRING returns labels"
            found[_NAMES[mode]][size] = _right(believed[:, -size:].flatten(), truth, size)
        guessed = torch.randint(data.train.classes, truth.shape, generator=generator)
        random_guesses[size] = _right(guessed, truth, size)
    found["auditor: largest bias entry of a proof"] = {
        1: _right(_from_proofs(federation, original, unlearned, data.train.subset(request.rows)), truth, 1)
    }
    rows = [LabelRow(rule, right) for rule, right in found.items()]
    write_json(out / "labels.json", [asdict(row) for row in rows])
    write_text(out / "labels.md", markdown(rows, sizes))
    return rows


def markdown(rows: Sequence[LabelRow], sizes: Sequence[int]) -> str:
    """Format the table as Markdown.

    Args:
        rows: Rows of the table.
        sizes: Numbers of forgotten samples in a batch, one for each column.
    """
    lines = [
        f"| forgotten samples in a batch | {' | '.join(map(str, sizes))} |",
        f"| --- |{' --- |' * len(sizes)}",
    ]
    for row in rows:
        cells = [_cell(row.right.get(size)) for size in sizes]
        lines.append(f"| {row.rule} | {' | '.join(cells)} |")
    note = "Brackets: exact 95 % intervals over the samples of one run, which treat those of a batch as independent."
    return "\n".join([*lines, "", note, ""])


def _view(
    federation: Federation,
    config: AuditConfig,
    request: Request,
    original: Training,
    unlearned: Unlearning,
    size: int,
) -> ServerView:
    """Return the server's view, without labels, of batches with `size` forgotten samples each."""
    observation_config = config.observation.model_copy(update={"forgotten": size})
    config = config.model_copy(update={"observation": observation_config})
    view, _ = unlabeled_view(federation, config, request, original.parameters, unlearned.parameters)
    return view


def _from_proofs(
    federation: Federation, original: Training, unlearned: Unlearning, forgotten: ImageSet
) -> Tensor:
    before, after = federation.network(), federation.network()
    load_parameters(before, original.parameters)
    load_parameters(after, unlearned.parameters)
    proofs = gradient_differences(before, after, forgotten.images, forgotten.labels)
    return bias_difference_rule(proofs[:, last_layer(before).bias])


def _right(believed: Tensor, truth: Tensor, size: int) -> Rate:
    return share(label_recovery(believed, truth, batch=size), len(truth))


def _cell(right: Rate | None) -> str:
    return "" if right is None else f"{right.value:.0%} ({right.low:.0%} to {right.high:.0%})"
