"""What a table or figure is made of: cells, each of them an audit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from palimpsest.comparison import Read
from palimpsest.config import AuditConfig, read_config
from palimpsest.errors import ConfigurationError
from palimpsest.registry import closest
from palimpsest.reproduce.published import Published

Picture = Literal["bars", "curve", "gallery", "frontier"]


@dataclass(frozen=True)
class Cell:
    """One row of a table, or one point of a figure.

    Args:
        name: How `--cells` calls it; also its folder.
        preset: The preset that it starts from.
        changes: Keys of the configuration that differ from the preset.
        published: The scores that the paper prints there, where it prints some.
        size: The length of a reduced vector that it prints there.
        position: Where the cell lies on a curve's axis.
    """

    name: str
    preset: str
    changes: Mapping[str, Any]
    published: Published | None = None
    size: int | None = None
    position: float | None = None

    def config(self, overrides: Mapping[str, Any], seed: int) -> AuditConfig:
        """The audit's configuration; the study's changes win over what the caller asks of every cell."""
        return read_config(self.preset, _united(_united(overrides, self.changes), {"seed": seed}))


@dataclass(frozen=True)
class Column:
    """A number that a table shows besides the attack's scores.

    Args:
        heading: Its heading.
        read: Where the number comes from; its own interval is shown where there is one seed.
        form: How it is printed.
    """

    heading: str
    read: Read
    form: str


@dataclass(frozen=True)
class Study:
    """A published table or figure, or one of our own.

    Args:
        name: The command that makes it.
        title: What it shows.
        source: The paper's table or figure.
        cells: Makes its cells.
        picture: How they are drawn.
        axis: What a curve's horizontal axis says.
        notes: Sentences that a reader needs: what the paper leaves open, what was chosen.
        columns: What its table shows besides the attack's scores.
        conclude: Makes the sentences that the finished cells allow.
    """

    name: str
    title: str
    source: str
    cells: Callable[[], list[Cell]]
    picture: Picture = "bars"
    axis: str = ""
    notes: Sequence[str] = ()
    columns: Sequence[Column] = ()
    conclude: Callable[[Sequence[Any]], list[str]] | None = None

    def choose(self, patterns: Sequence[str]) -> list[Cell]:
        """The cells whose names match any of the patterns, in the study's order; all without a pattern.

        Raises:
            ConfigurationError: A pattern matches no cell.
        """
        cells = self.cells()
        for pattern in patterns:
            if not any(fnmatchcase(cell.name, pattern) for cell in cells):
                names = [cell.name for cell in cells]
                raise ConfigurationError(f"{self.name} has no cell {pattern!r}: {closest(pattern, names)}")
        return [
            cell for cell in cells if not patterns or any(fnmatchcase(cell.name, one) for one in patterns)
        ]


def _united(asked: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Keys asked of every cell and a cell's own, which win; a setting that its attack lacks is refused by name."""
    result = dict(asked)
    for key, value in changes.items():
        inner = result.get(key)
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            result[key] = _united(inner, value)
        else:
            result[key] = value
    return result
