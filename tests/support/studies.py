"""Studies in small: the cells' own presets on the embedded digits, with a few rounds and epochs."""

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
"""An audit of a second."""


def tiny_config(preset: str, **changes: Any) -> AuditConfig:
    """The preset's configuration with `TINY` and these changes."""
    return read_config(preset, merged(TINY, changes))


def tiny_study(name: str, /, **cells: dict[str, Any]) -> Study:
    """A study of tiny audits of the digits: the changes of each cell by its name."""
    made = [Cell(cell, "digits", {**TINY, **changes}) for cell, changes in cells.items()]
    return Study(name, "A title", "A source", lambda: made)


def tiny(study: Study) -> Study:
    """The same cells by name, with shorter trainings whatever a cell itself asks for."""

    def small(cell: Cell) -> dict[str, Any]:
        changes = cell.changes
        attack = {**TINY["attack"], **changes.get("attack", {}), "epochs": 1, "width": 8}
        if attack.get("name") == "lti":
            attack = {key: value for key, value in attack.items() if key not in ("width", "blocks")}
        attack |= {"components": 10 if attack.get("components") else attack.get("components")}
        attack |= {"beta": 0} if "beta" in attack else {}
        if attack.get("name") in ("igf-plus", "igf-white") and attack["components"] is None:
            attack["components"] = 0
        few = dict(TINY)
        if read_config(cell.preset).unlearning.scenario != "sample":
            del few["unlearning"]
        kept = {key: one for key, one in changes.items() if key not in ("attack", "data")}
        return {**few, **kept, "attack": attack}

    cells = [
        Cell(one.name, one.preset, small(one), one.published, one.size, one.position) for one in study.cells()
    ]
    return replace(study, cells=lambda: cells)
