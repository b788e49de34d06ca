"""Settings of the forgetting study: data sets, and levels of training from the paper's to a memorizing one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from palimpsest.config import AuditConfig, merged, read_config
from palimpsest.errors import ConfigurationError
from palimpsest.registry import METHODS, closest

SHADOWS = 16
"""Shadow federations of each setting and seed, which all methods share."""
UNLEARNED_SHADOWS = 8
"""Those of them that unlearn by each method, which costs as many times the method's running time."""
PAIRS = 200
"""Forgotten samples of each cell, and as many retained and twice as many held-out ones in the membership tests."""
POPULATION = 500
_AXIS = (1, 2, 4, 8, 16)
_BASE: dict[str, Any] = {
    "data": {"train_size": 800, "auxiliary_size": POPULATION, "image_size": 16},
    "model": {"name": "mlp", "width": 128},
    "federation": {"rounds": 20, "batch_size": 20},
    "unlearning": {"scenario": "sample", "count": PAIRS},
}
_PAPER = {"clients": 10, "fraction": 0.2, "local_epochs": 1}
"""The paper's 20 rounds of one local epoch by few of the clients: each sample is visited about four times."""
_EVERY_CLIENT = {"clients": 2, "fraction": 1.0, "learning_rate": 0.01}
_MEMORIZING_EPOCHS = {"cifar10": 10, "mnist": 4}
"""Local epochs of every client in every round after which the training accuracy is above 95 %."""


@dataclass(frozen=True)
class Setting:
    """Data set and level of training.

    Args:
        name: Name of the setting in `--cells`, and of its folder.
        local_epochs: Local epochs of each of the 20 rounds.
        changes: Configuration keys that differ from the defaults.
    """

    name: str
    local_epochs: int
    changes: Mapping[str, Any]

    def config(self, overrides: Mapping[str, Any], seed: int) -> AuditConfig:
        """Return the configuration of one seed; the overrides win over the setting.

        Args:
            overrides: Configuration keys to set.
            seed: Seed of the run.
        """
        return read_config(
            "cifar10-convnet-retrain-sample", merged(merged(self.changes, overrides), {"seed": seed})
        )


def _setting(level: str, data: str, federation: Mapping[str, Any]) -> Setting:
    changes = merged(_BASE, {"data": {"name": data}, "federation": federation})
    return Setting(f"{data}-{level}", federation["local_epochs"], changes)


SETTINGS = [
    _setting(level, data, federation)
    for data, epochs in _MEMORIZING_EPOCHS.items()
    for level, federation in (("paper", _PAPER), ("memorizing", {**_EVERY_CLIENT, "local_epochs": epochs}))
]
"""Two levels of training on two data sets."""
LEVELS = [
    _setting(f"epochs-{epochs}", "cifar10", {**_EVERY_CLIENT, "local_epochs": epochs}) for epochs in _AXIS
]
"""Levels of training along one axis."""


@dataclass(frozen=True)
class Choice:
    """A setting and the methods to measure in it.

    Args:
        setting: The setting.
        methods: Names of the unlearning methods, in the order of the table.
    """

    setting: Setting
    methods: tuple[str, ...]


def choose(settings: Sequence[Setting], methods: Sequence[str], patterns: Sequence[str]) -> list[Choice]:
    """Return the chosen cells.

    A cell is named after its setting and its method, as in `cifar10-paper/ascent`.

    Args:
        settings: Settings of the study.
        methods: Names of the unlearning methods.
        patterns: Names of cells or of settings with wildcards; empty means all cells. Exact retraining is always
            measured, because the others are compared with it.

    Raises:
        ConfigurationError: A pattern matches no cell, or a method does not exist.
    """
    for method in methods:
        METHODS.get(method)
    names = [f"{setting.name}/{method}" for setting in settings for method in methods]
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in names):
            raise ConfigurationError(f"The study has no cell {pattern!r}: {closest(pattern, names)}")
    choices = list[Choice]()
    for setting in settings:
        wanted = [
            method
            for method in methods
            if not patterns or any(_matches(f"{setting.name}/{method}", pattern) for pattern in patterns)
        ]
        if wanted:
            choices.append(Choice(setting, tuple(dict.fromkeys(("retrain", *wanted)))))
    return choices


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name.partition("/")[0], pattern)
