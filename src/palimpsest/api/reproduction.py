"""A published table, made again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from palimpsest.display import frame

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Reproduction:
    """A published table, made again; in a notebook it shows itself.

    Args:
        name: The table's.
        folder: Where `<name>.md` and `<name>.json` stand, and its runs.
    """

    name: str
    folder: Path

    def to_markdown(self) -> str:
        """The table, the published figures beside ours."""
        return (self.folder / f"{self.name}.md").read_text(encoding="utf-8")

    def to_json(self) -> Any:
        """The table as plain values, whole."""
        return json.loads((self.folder / f"{self.name}.json").read_text(encoding="utf-8"))

    def to_frame(self) -> "pandas.DataFrame":
        """One row for each cell of the table; an estimate has its mean, and the ends of its 95 % interval.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        tree = self.to_json()
        cells = cast("list[dict[str, Any]]", tree["cells"] if isinstance(tree, dict) else tree)
        rows = [_flat(cell) for cell in cells]
        return frame(rows, columns=list(dict.fromkeys(name for row in rows for name in row)))

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values under their keys, joined by dots; lists stay as they are."""
    row: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            row |= _flat(cast("dict[str, Any]", value), f"{prefix}{key}.")
        else:
            row[f"{prefix}{key}"] = value
    return row
