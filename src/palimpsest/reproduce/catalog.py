"""Catalog of all studies, and of the tables and grids that are not made of audits."""

import importlib
from dataclasses import dataclass
from typing import Any

from palimpsest.reproduce.aggregates import STUDIES as AGGREGATE_STUDIES
from palimpsest.reproduce.batches import STUDIES as BATCH_STUDIES
from palimpsest.reproduce.defenses import STUDIES as DEFENSE_STUDIES
from palimpsest.reproduce.dragd import STUDIES as SERVER_STUDIES
from palimpsest.reproduce.igf import STUDIES as AUDITOR_STUDIES
from palimpsest.reproduce.ingredients import STUDIES as INGREDIENT_STUDIES
from palimpsest.reproduce.privacy_noise import STUDIES as NOISE_STUDIES
from palimpsest.reproduce.regimes import STUDIES as REGIME_STUDIES
from palimpsest.reproduce.server_priors import STUDIES as PRIOR_STUDIES

STUDIES = (
    AUDITOR_STUDIES
    | DEFENSE_STUDIES
    | SERVER_STUDIES
    | NOISE_STUDIES
    | BATCH_STUDIES
    | PRIOR_STUDIES
    | INGREDIENT_STUDIES
    | REGIME_STUDIES
    | AGGREGATE_STUDIES
)
"""All studies by the name of their command."""


@dataclass(frozen=True)
class Table:
    """A table that a function of its own makes.

    Args:
        title: One line about what the table compares.
        preset: Name of the preset with the table's default configuration.
        module: Name of the module with the function.
        function: Name of the function that writes `<name>.md` and `<name>.json` into `out`; it takes a configuration,
            `out`, `data_dir` and `console`.
    """

    title: str
    preset: str
    module: str
    function: str

    def make(self, *arguments: Any, **settings: Any) -> None:
        """Import the module late, because it imports the whole audit, and call the function."""
        getattr(importlib.import_module(self.module), self.function)(*arguments, **settings)


@dataclass(frozen=True)
class Grid:
    """Cells and seeds that a function of its own computes, because they are not audits.

    Args:
        title: One line about what the cells compare.
        source: The published table or figure.
        module: Name of the module with the function.
        function: Name of the function that writes `<name>.md` and `<name>.json` into `out`; it takes `out`, `cells`,
            `seeds`, `overrides`, `data_dir`, `console` and `command`.
    """

    title: str
    source: str
    module: str
    function: str

    def make(self, **settings: Any) -> None:
        """Import the module late, because it imports the whole audit, and call the function."""
        getattr(importlib.import_module(self.module), self.function)(**settings)


GRIDS = {
    "forgetting": Grid(
        "Compare the unlearning methods: accuracies, membership tests, distance to retraining, seconds",
        "Palimpsest",
        "palimpsest.reproduce.forgetting",
        "forgetting_study",
    ),
    "forgetting-levels": Grid(
        "Compare levels of training: accuracy, forgetting, membership, leak of the proofs, verifiers",
        "Palimpsest",
        "palimpsest.reproduce.forgetting_levels",
        "level_study",
    ),
    "lira": Grid(
        "Attack networks that memorize half of a data set: LiRA, RMIA and a threshold on the loss",
        "Carlini et al. 2022, Table I, in small",
        "palimpsest.reproduce.lira",
        "lira_study",
    ),
}
"""All such grids by the name of their command."""
TABLES = {
    "verifiers": Table(
        "Compare the verifiers of a proof against every kind of party that did not retrain",
        "digits",
        "palimpsest.reproduce.verifiers",
        "verifier_table",
    ),
    "intersection": Table(
        "Leakage from repeated obfuscated proofs of the same sample",
        "digits-directions",
        "palimpsest.reproduce.intersection",
        "intersection_table",
    ),
    "linkage-open-world": Table(
        "Linkage to altered candidates, such as recompressed copies, among images that were never forgotten",
        "digits",
        "palimpsest.reproduce.open_world",
        "open_world_table",
    ),
    "labels": Table(
        "Share of the forgotten samples' classes that a server infers, by rule and batch size",
        "mnist-dragd",
        "palimpsest.reproduce.labels",
        "label_table",
    ),
    "batch-recovery": Table(
        "Share of a batch's samples that a server recovers exactly, by attack, batch size and layer width",
        "mnist-spear",
        "palimpsest.reproduce.batch_recovery",
        "batch_recovery_table",
    ),
}
"""All such tables by the name of their command."""
