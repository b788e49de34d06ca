"""All studies, and the tables that are no grid of audits."""

import importlib
from dataclasses import dataclass
from typing import Any

from palimpsest.reproduce.defenses import STUDIES as DEFENSE_STUDIES
from palimpsest.reproduce.dragd import STUDIES as SERVER_STUDIES
from palimpsest.reproduce.igf import STUDIES as AUDITOR_STUDIES

STUDIES = AUDITOR_STUDIES | DEFENSE_STUDIES | SERVER_STUDIES
"""Every study by the name of its command."""


@dataclass(frozen=True)
class Table:
    """A table of its own making.

    Args:
        title: What it compares.
        preset: Where it starts from.
        module: Where its function is found, which writes `<name>.md` and `<name>.json` into `out`.
        function: The function; it takes a configuration, `out`, `data_dir` and `console`.
    """

    title: str
    preset: str
    module: str
    function: str

    def make(self, *arguments: Any, **settings: Any) -> None:
        """Call the function; its module is imported late, for it brings the whole audit along."""
        getattr(importlib.import_module(self.module), self.function)(*arguments, **settings)


TABLES = {
    "forgetting": Table(
        "Compare the unlearning methods: accuracies, membership inference, distance to retraining, seconds",
        "cifar10-convnet-retrain-sample",
        "palimpsest.reproduce.forgetting",
        "forgetting_table",
    ),
    "verifiers": Table(
        "Compare the checks of a proof, against every kind of party that did not retrain",
        "digits",
        "palimpsest.reproduce.verifiers",
        "verifier_table",
    ),
    "intersection": Table(
        "How many obfuscated proofs of one sample give it away",
        "digits-directions",
        "palimpsest.reproduce.intersection",
        "intersection_table",
    ),
    "labels": Table(
        "How many of the forgotten samples' classes a server reads, by rule and by size of the batch",
        "mnist-dragd",
        "palimpsest.reproduce.labels",
        "label_table",
    ),
}
"""Every such table by the name of its command."""
