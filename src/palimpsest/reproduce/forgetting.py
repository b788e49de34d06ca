"""Forgetting table: accuracy, membership inference and cost of each unlearning method, next to exact retraining."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from palimpsest.config import AuditConfig
from palimpsest.datasets import load_data
from palimpsest.federation import Federation
from palimpsest.metrics import Behavior, area, share
from palimpsest.pipeline.stages.federate import study_forgetting, train_original, unlearn_twice
from palimpsest.runs import Run
from palimpsest.storage import write_json, write_text
from palimpsest.system.device import pick_device
from palimpsest.unlearning import make_request

METHODS = ("retrain", "ascent", "federaser", "rapid")


@dataclass(frozen=True)
class ForgettingRow:
    """Row of one unlearning method; accuracies are shares in [0, 1].

    Args:
        method: The unlearning method, or `original` for the model before unlearning.
        retained: Accuracy on the retained training samples.
        forgotten: Accuracy on the forgotten samples.
        test: Accuracy on the test split.
        membership_auc: AUC of the loss attack on the forgotten samples; 0.5 is chance.
        distance: L2 distance to the exactly retrained model. This and the times are None in the row of the original
            model.
        seconds: Wall-clock time of unlearning in seconds.
        relative_seconds: That time divided by the time of retraining.
        intervals: 95 % intervals of the accuracies and the AUC, by name.
    """

    method: str
    retained: float
    forgotten: float
    test: float
    membership_auc: float
    distance: float | None
    seconds: float | None
    relative_seconds: float | None
    intervals: dict[str, tuple[float, float]]


def forgetting_table(
    config: AuditConfig,
    *,
    out: Path,
    methods: Sequence[str] = METHODS,
    data_dir: Path | None = None,
    console: Console | None = None,
) -> list[ForgettingRow]:
    """Unlearn by each method, from the same trained model, and write `forgetting.md` and `forgetting.json`.

    Args:
        config: Data, model, federation and unlearning request; its unlearning method is ignored.
        out: The folder of the table. It holds a run folder for each method, whose finished stages are reused.
        methods: Names of unlearning methods, each with its defaults; retraining is always included.
        data_dir: A folder that mirrors the data sets; None means the default folder.
        console: Console for the stages' output; if omitted, nothing is printed.

    Returns:
        The row of the original model, then a row for each method.
    """
    data = load_data(config.data, clients=config.federation.clients, seed=config.seed, data_dir=data_dir)
    federation = Federation(data, config.model, config.federation, config.seed, pick_device(config.device))
    request = make_request(config.unlearning, data, seed=config.seed)
    rows: list[ForgettingRow] = []
    seconds: dict[str, float] = {}
    for method in dict.fromkeys(("retrain", *methods)):
        cell = config.model_copy(update={"unlearning": config.unlearning.by(method)})
        with Run.open(out / method, cell, console=console or Console(quiet=True)) as run:
            original = train_original(run, federation, request, cell.unlearning)
            unlearned, retrained = unlearn_twice(run, federation, request, original, cell.unlearning)
            forgetting = study_forgetting(run, federation, request, original, unlearned, retrained)
            seconds[method] = run.seconds()["unlearned"]
        assert forgetting.distance is not None, "audits retrain exactly"
        forgotten = len(unlearned.forgotten)
        sizes = (len(data.train) - forgotten, forgotten, len(data.test), forgetting.others)
        if not rows:
            rows.append(_row("original", forgetting.original, sizes))
        rows.append(
            _row(
                method,
                forgetting.unlearned,
                sizes,
                forgetting.distance.absolute,
                seconds[method],
                seconds["retrain"],
            )
        )
    write_json(out / "forgetting.json", [asdict(row) for row in rows])
    write_text(out / "forgetting.md", markdown(rows, classes=data.train.classes))
    return rows


def markdown(rows: Sequence[ForgettingRow], *, classes: int) -> str:
    """Format the table as Markdown.

    Args:
        rows: Rows of the table.
        classes: Number of classes, which gives the chance level of the accuracies.
    """
    head = (
        "| model | retained | forgotten | test | membership AUC | distance to retrained | seconds | "
        "relative to retraining |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
    )
    table = head + "".join(
        f"| {row.method} | {_rate(row, 'retained', '.1%')} | {_rate(row, 'forgotten', '.1%')} | "
        f"{_rate(row, 'test', '.1%')} | {_rate(row, 'membership_auc', '.3f')} | {_cell(row.distance, '.3f')} | "
        f"{_cell(row.seconds, '.1f')} | {_cell(row.relative_seconds, '.2f')} |\n"
        for row in rows
    )
    return f"{table}\nBrackets: 95 % intervals. Chance: {1 / classes:.1%} for accuracies, 0.5 for the AUC.\n"


def _row(
    method: str,
    behavior: Behavior,
    sizes: tuple[int, int, int, int],
    distance: float | None = None,
    seconds: float | None = None,
    retraining_seconds: float = 1.0,
) -> ForgettingRow:
    assert behavior.retained is not None, "audits know the retained samples"
    retained, forgotten, test, others = sizes
    rates = {
        "retained": share(behavior.retained, retained) if retained else None,
        "forgotten": share(behavior.forgotten, forgotten),
        "test": share(behavior.test, test),
        "membership_auc": area(behavior.membership.auc, forgotten, others),
    }
    return ForgettingRow(
        method=method,
        retained=behavior.retained,
        forgotten=behavior.forgotten,
        test=behavior.test,
        membership_auc=behavior.membership.auc,
        distance=distance,
        seconds=seconds,
        relative_seconds=seconds / retraining_seconds if seconds else None,
        intervals={name: (rate.low, rate.high) for name, rate in rates.items() if rate},
    )


def _rate(row: ForgettingRow, name: str, form: str) -> str:
    value = f"{getattr(row, name):{form}}"
    if name not in row.intervals:
        return value
    low, high = row.intervals[name]
    return f"{value} ({low:{form}} to {high:{form}})"


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"
