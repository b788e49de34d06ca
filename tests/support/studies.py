"""Tiny studies: the cells' presets on the embedded digits, with few rounds and epochs."""

from dataclasses import replace
from typing import Any

from palimpsest.config import AuditConfig, merged, read_config
from palimpsest.reproduce import Cell, Study

TINY: dict[str, Any] = {
    "data": {"name": "digits", "auxiliary_size": 40, "train_size": 200},
    "model": {"name": "convnet", "width": 4},
    "federation": {"clients": 4, "fraction": 1.0, "rounds": 1},
    "unlearning": {"count": 10},
    "attack": {"epochs": 1, "queries": 2, "components": 10, "width": 8, "batch_size": 32, "beta": 0},
    "scoring": {"bootstrap": 20},
}
"""Configuration keys of an audit that takes a second."""


def tiny_config(preset: str, **changes: Any) -> AuditConfig:
    """Make the preset's configuration with `TINY` and further changes."""
    return read_config(preset, merged(TINY, changes))


def tiny_study(name: str, /, **cells: dict[str, Any]) -> Study:
    """Make a study of tiny audits of digits, from the changes of each cell by its name."""
    made = [Cell(cell, "digits", {**TINY, **changes}) for cell, changes in cells.items()]
    return Study(name, "A title", "A source", lambda: made)


def tiny(study: Study) -> Study:
    """Shorten the training of every cell of a study."""

    def small(cell: Cell) -> dict[str, Any]:
        changes = cell.changes
        attack = {**TINY["attack"], **changes.get("attack", {}), "epochs": 1, "width": 8}
        if attack.get("name") == "lti":
            attack = {key: value for key, value in attack.items() if key not in ("width", "blocks")}
        attack |= {"components": 10 if attack.get("components") else attack.get("components")}
        attack |= {"beta": 0} if "beta" in attack else {}
        if attack.get("name") in ("igf-plus", "igf-white") and attack["components"] is None:
            attack["components"] = 0
        tree = dict(TINY)
        if read_config(cell.preset).unlearning.scenario != "sample":
            del tree["unlearning"]
        others = {key: value for key, value in changes.items() if key not in ("attack", "data")}
        return {**tree, **others, "attack": attack}

    cells = [replace(cell, changes=small(cell)) for cell in study.cells()]
    return replace(study, cells=lambda: cells)
