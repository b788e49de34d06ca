"""Regimes of a server's attacks: how far networks are trained, and how far unlearning moves them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from palimpsest.metrics import Metrics, Reading
from palimpsest.reproduce.paired import Comparison, compare, sentences
from palimpsest.reproduce.server_cells import DISTANCE_NOTE, PARAMETER_DISTANCE, PRIOR, ascent_step
from palimpsest.reproduce.study import Cell, Column, Study
from palimpsest.reproduce.summary import Summary


@dataclass(frozen=True)
class Network:
    """A network and its training.

    Args:
        model: Keys of the section `model` that differ from the preset.
        learning_rate: Learning rate of the local training with batches of 20 and a momentum of 0.9.
        rounds: Numbers of rounds after which the network is attacked.
        untrained: Whether the preset's network, which is still at chance, is attacked too.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    learning_rate: float = 0.01
    rounds: tuple[int, ...] = (1, 5, 20)
    untrained: bool = False


_NETWORKS = {
    "sigmoid": Network(learning_rate=0.003, untrained=True),
    "relu": Network({"activation": "relu", "initialization": "default"}),
    "convnet": Network({"name": "convnet", "initialization": "default"}),
    "resnet20": Network({"name": "resnet20", "initialization": "default"}),
}
_STAGES = {"one": "direct-difference", "two": "dragd", "joint": "joint"}
_DISTANCES = {f"{distance:g}": ascent_step(distance) for distance in (1e-3, 1e-2, 1e-1, 1.0)} | {
    "retrain": {"method": "retrain"}
}


def _accuracy(metrics: Metrics) -> Reading | None:
    forgetting, rate = metrics.forgetting, metrics.rate("accuracy_test_original")
    return None if forgetting is None else rate or Reading(forgetting.original.test)


_ACCURACY = Column("test accuracy", _accuracy, ".1%")


def _regimes() -> dict[str, dict[str, Any]]:
    """Return the sections of each regime that differ from the preset, by name."""
    regimes = dict[str, dict[str, Any]]()
    for name, network in _NETWORKS.items():
        if network.untrained:
            regimes[f"{name}-0"] = {"model": dict(network.model)}
        for rounds in network.rounds:
            training = {"rounds": rounds, "learning_rate": network.learning_rate}
            federation = {**training, "batch_size": 20, "momentum": 0.9}
            regimes[f"{name}-{rounds}"] = {"model": dict(network.model), "federation": federation}
    return regimes


def _cells() -> list[Cell]:
    return [
        Cell(
            f"{regime}-{distance}-{stages}",
            "mnist-dragdp",
            {
                **sections,
                "unlearning": unlearning,
                "attack": {"name": attack, "prior": "mean", "space": "spectrum", "control_size": 0},
            },
        )
        for (regime, sections), (distance, unlearning), (stages, attack) in product(
            _regimes().items(), _DISTANCES.items(), _STAGES.items()
        )
    ]


def parts(cell: Cell) -> tuple[str, str, str]:
    """Split a cell's name into the network with its rounds, the distance and the stages.

    Args:
        cell: A cell of the study.
    """
    regime, distance, stages = cell.name.rsplit("-", 2)
    return regime, distance, stages


def _conclude(summaries: Sequence[Summary]) -> list[str]:
    """Compare two stages and the joint search with one stage, in sentences."""
    done = {parts(summary.cell): summary for summary in summaries if "mse" in summary.scores}
    comparisons = list[Comparison]()
    for (regime, distance, stages), summary in done.items():
        one = done.get((regime, distance, "one"))
        if stages != "one" and one:
            subject = f"{regime}, {distance}: the MSE of {stages} minus that of one"
            comparisons += filter(None, [compare(subject, summary, one)])
    return sentences(comparisons)


STUDIES = {
    "dragd-regimes": Study(
        "dragd-regimes",
        "Reconstruction by training, distance between the models, and stages",
        "Palimpsest",
        _cells,
        picture="regimes",
        columns=(_ACCURACY, *PRIOR, PARAMETER_DISTANCE),
        notes=(
            "A cell's name: network, rounds of training, unlearning, stages. Sigmoid and relu are LeNet with that "
            "activation. Sigmoid-0 is the preset's network, which is still at chance.",
            "Unlearning: one step of gradient ascent that is clipped to a length, or exact retraining.",
            "One: direct-difference. Two: dragd. Joint: one search for all samples. Each starts from the mean public "
            "image and searches in the spectrum; two is dragdp.",
            DISTANCE_NOTE,
        ),
        conclude=_conclude,
    )
}
"""The study by the name of its command."""
