"""The result of `reproduce`: a published table next to its reproduction."""

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
    """A reproduced table or figure. Notebooks display it as a table.

    Args:
        name: Name of the table.
        folder: The folder with `<name>.md`, `<name>.json` and the runs.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from palimpsest import Reproduction
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "mine.json").write_text('{"cells": [{"name": "igf", "scores": {"mse": 0.02}}]}')
        ...     Reproduction("mine", Path(folder)).to_json()["cells"][0]["name"]
        'igf'
    """

    name: str
    folder: Path

    def to_markdown(self) -> str:
        """Return the table as Markdown, with the published values next to the reproduced ones."""
        return (self.folder / f"{self.name}.md").read_text(encoding="utf-8")

    def to_json(self) -> Any:
        """Return the complete table as parsed JSON."""
        return json.loads((self.folder / f"{self.name}.json").read_text(encoding="utf-8"))

    def to_frame(self) -> "pandas.DataFrame":
        """Return a data frame with one row for each cell of the table.

        Nested values become columns with dotted names, such as the mean of a score and the ends of its 95% interval.

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
    """Flatten nested mappings to dotted keys; lists stay as they are."""
    row: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            row |= _flat(cast("dict[str, Any]", value), f"{prefix}{key}.")
        else:
            row[f"{prefix}{key}"] = value
    return row
