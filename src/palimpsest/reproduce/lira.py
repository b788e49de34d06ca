"""LiRA in its paper's setting, in small: one owner of the data, and networks that memorize half of a data set."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from palimpsest.config import AuditConfig, merged, read_config
from palimpsest.datasets import load_data
from palimpsest.errors import ConfigurationError
from palimpsest.federation import Federation, Training, predict, top1_accuracy, train
from palimpsest.membership import (
    confidence,
    draw_splits,
    lira_offline,
    lira_online,
    loss,
    rmia,
    scaled_confidence,
)
from palimpsest.membership.lira import reference_lira
from palimpsest.membership.rmia import OFFLINE_A
from palimpsest.metrics.roc import RATES, Detection, roc
from palimpsest.models import load_parameters
from palimpsest.randomness import derive_seed, make_generator
from palimpsest.reproduce.summary import Estimate, share_estimate
from palimpsest.runs import Run
from palimpsest.storage import write_json, write_text
from palimpsest.system.device import pick_device

MODELS = 32
"""Networks; each is attacked with the others as shadow models."""
PUBLISHED = "Carlini et al. 2022, Table I, CIFAR-10: 8.4 % at 0.1 %; balanced accuracy 63.8 %"
_BASE: dict[str, Any] = {
    "data": {"name": "cifar10", "train_size": 2000, "auxiliary_size": 500, "image_size": 16},
    "model": {"name": "mlp", "width": 128},
    "federation": {
        "clients": 1,
        "fraction": 1.0,
        "rounds": 1,
        "local_epochs": 100,
        "batch_size": 20,
        "learning_rate": 0.01,
    },
    "unlearning": {"count": 1},
}


@dataclass(frozen=True)
class LiraRow:
    """Row of one test.

    Args:
        test: Name of the test.
        auc: Area under the ROC curve, mean over the attacked networks, with its 95 % interval by Student's t.
        accuracy: Balanced accuracy at the best threshold, in the same way.
        detections: True positive rates over all networks together.
    """

    test: str
    auc: Estimate
    accuracy: Estimate
    detections: Sequence[Detection]


@dataclass(frozen=True)
class LiraTable:
    """The table.

    Args:
        rows: A row for each test.
        train: Accuracy of the networks on their training images, mean over them.
        test: Accuracy on the test images.
        difference: Largest difference between LiRA's scores and those of the slow reference, on the first network.
    """

    rows: Sequence[LiraRow]
    train: float
    test: float
    difference: float


@dataclass(frozen=True, eq=False)
class _Outputs:
    """Logits of all networks on the candidates `[models, n, classes]` and the population `[models, m, classes]`."""

    labels: Tensor
    logits: Tensor
    members: Tensor
    population_labels: Tensor
    population: Tensor


def lira_study(
    *,
    out: Path,
    cells: Sequence[str] = (),
    seeds: Sequence[int] = (1234,),
    overrides: Mapping[str, Any] | None = None,
    data_dir: Path | None = None,
    console: Console | None = None,
    command: str = "palimpsest reproduce lira",
) -> LiraTable:
    """Attack every network with the others as shadow models, and write `lira.md` and `lira.json`.

    Args:
        out: Folder of the table, with a run folder, whose finished networks are reused.
        cells: Must be empty: the table has no cells.
        seeds: One seed. The repetitions are the attacked networks.
        overrides: Configuration keys to set.
        data_dir: A folder that mirrors the data sets; None means the default folder.
        console: Console for progress; if omitted, nothing is printed.
        command: The command that reproduces the table, which it shows.

    Returns:
        The table.

    Raises:
        ConfigurationError: Cells or several seeds were named.
    """
    if cells or len(seeds) != 1:
        raise ConfigurationError(
            "lira has no cells, and its repetitions are the attacked networks: name one seed."
        )
    config = read_config(
        "cifar10-convnet-retrain-sample", merged(merged(_BASE, overrides or {}), {"seed": seeds[0]})
    )
    with Run.open(
        out / f"seed-{seeds[0]}", config, console=console or Console(quiet=True), replace=True
    ) as run:
        table = _table(run, config, data_dir)
    write_json(out / "lira.json", {**asdict(table), "cells": [asdict(row) for row in table.rows]})
    write_text(out / "lira.md", markdown(table, command))
    return table


def markdown(table: LiraTable, command: str) -> str:
    """Format the table as Markdown.

    Args:
        table: The table.
        command: The command that reproduces it.
    """
    heads = ["test", "AUC", "balanced accuracy", *(f"found at {rate:.1%}" for rate in RATES)]
    lines = ["# LiRA on networks that memorize", "", f"    {command}", ""]
    lines += [f"| {' | '.join(heads)} |", f"| {' | '.join(['---'] * len(heads))} |"]
    for row in table.rows:
        found = [
            f"{one.found.value:.1%}" if one.found else f"not measurable (needs {one.needed:,})"
            for one in row.detections
        ]
        lines.append(
            f"| {row.test} | {_bracket(row.auc, '.3f')} | {_bracket(row.accuracy, '.1%')} | {' | '.join(found)} |"
        )
    lines += [
        "",
        f"{MODELS} networks; each is attacked with the others as shadow models. Accuracy: {table.train:.1%} on their "
        f"training images, {table.test:.1%} on test images.",
        "Brackets: 95 % interval over the attacked networks (Student's t), which share one seed. Found: share of the "
        "members at a false positive rate, all networks together; the networks share images, so there is no exact "
        "interval.",
        f"Published: {PUBLISHED}.",
        f"Largest difference from the slow reference implementation's scores on one network: {table.difference:.1e}.",
        "",
    ]
    return "\n".join(lines)


def _table(run: Run, config: AuditConfig, data_dir: Path | None) -> LiraTable:
    data = load_data(config.data, clients=1, seed=config.seed, data_dir=data_dir)
    device = pick_device(config.device)
    draws = draw_splits(len(data.train), MODELS, generator=make_generator(config.seed, "lira", "splits"))
    logits, population, accuracies, members = [], [], [], []
    for index, inside in enumerate(draws):
        half = replace(data, clients=(inside.nonzero().squeeze(1),))
        federation = Federation(
            half, config.model, config.federation, derive_seed(config.seed, "lira", index), device
        )
        training = run.stage(f"model-{index:02d}", Training, _trainer(federation), key=(federation,))
        network = load_parameters(federation.network(), training.parameters).to(device)
        outputs = predict(network, data.train.images)
        logits.append(outputs)
        population.append(predict(network, data.auxiliary.images))
        members.append(inside)
        accuracies.append(
            (
                top1_accuracy(outputs[inside], data.train.labels[inside]),
                top1_accuracy(population[-1], data.auxiliary.labels),
            )
        )
    everything = _Outputs(
        data.train.labels,
        torch.stack(logits),
        torch.stack(members),
        data.auxiliary.labels,
        torch.stack(population),
    )
    on_train, on_test = torch.tensor(accuracies, dtype=torch.float64).mean(0).tolist()
    return LiraTable(_rows(everything), on_train, on_test, _difference(everything))


def _trainer(federation: Federation) -> Any:
    return lambda scratch: train(federation, scratch=scratch)


def _rows(outputs: _Outputs) -> list[LiraRow]:
    """Return the rows: every network is attacked with all others."""
    scores: dict[str, list[Tensor]] = {}
    for target in range(len(outputs.members)):
        for name, score in _scores(outputs, target).items():
            scores.setdefault(name, []).append(score)
    return [_row(name, torch.stack(values), outputs.members) for name, values in scores.items()]


def _row(name: str, scores: Tensor, members: Tensor) -> LiraRow:
    curves = [roc(score[inside], score[~inside]) for score, inside in zip(scores, members, strict=True)]
    accuracies = [((1 + curve.true_positives - curve.false_positives) / 2).max().item() for curve in curves]
    areas = [curve.auc for curve in curves]
    pooled = roc(scores[members], scores[~members])
    return LiraRow(
        name,
        share_estimate([area.value for area in areas], [(area.low, area.high) for area in areas]),
        share_estimate(accuracies, [None] * len(accuracies)),
        [pooled.detection(rate) for rate in RATES],
    )


def _scores(outputs: _Outputs, target: int) -> dict[str, Tensor]:
    others = torch.arange(len(outputs.members)) != target
    labels, members = outputs.labels, outputs.members[others]
    signal, shadows = (scaled_confidence(outputs.logits[rows], labels) for rows in (target, others))
    probability, probabilities = (confidence(outputs.logits[rows], labels) for rows in (target, others))
    known, all_known = (
        confidence(outputs.population[rows], outputs.population_labels) for rows in (target, others)
    )

    def relative(offline: float | None) -> Tensor:
        return rmia(
            probability,
            probabilities,
            members,
            population=known,
            population_shadows=all_known,
            offline=offline,
        )

    return {
        "Yeom": -loss(outputs.logits[target], labels),
        "LiRA, global variance": lira_online(signal, shadows, members, variance="global"),
        "LiRA, variance per sample": lira_online(signal, shadows, members, variance="per-sample"),
        "LiRA offline, global variance": lira_offline(signal, shadows, members, variance="global"),
        "RMIA": relative(None),
        "RMIA offline": relative(OFFLINE_A),
    }


def _difference(outputs: _Outputs) -> float:
    signals = scaled_confidence(outputs.logits, outputs.labels)
    arguments = signals[0], signals[1:], outputs.members[1:]
    return (lira_online(*arguments, variance="per-sample") - reference_lira(*arguments)).abs().max().item()


def _bracket(value: Estimate, form: str) -> str:
    if value.low is None or value.high is None:
        return f"{value.mean:{form}}"
    return f"{value.mean:{form}} ({value.low:{form}} to {value.high:{form}})"
