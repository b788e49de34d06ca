"""Studies: tables or figures whose cells are audits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from palimpsest.comparison import Read
from palimpsest.config import AuditConfig, read_config
from palimpsest.errors import ConfigurationError
from palimpsest.registry import closest
from palimpsest.reproduce.published import Published

Picture = Literal["bars", "curve", "gallery", "frontier", "regimes", "aggregates"]


@dataclass(frozen=True)
class Cell:
    """One row of a table, or one point of a figure.

    Args:
        name: Name of the cell in `--cells`, and of its folder.
        preset: Name of the preset with the cell's default configuration.
        changes: Configuration keys that differ from the preset.
        published: Published scores of the cell; None if the paper has none.
        size: Published length of the reduced vector; None if the paper has none.
        position: Position of the cell on a curve's axis.
        series: Name of the curve that the cell belongs to; a figure of one curve needs none.
    """

    name: str
    preset: str
    changes: Mapping[str, Any]
    published: Published | None = None
    size: int | None = None
    position: float | None = None
    series: str = ""

    def config(self, overrides: Mapping[str, Any], seed: int) -> AuditConfig:
        """Return the audit's configuration; the cell's changes win over the overrides.

        Args:
            overrides: Configuration keys to set in every cell.
            seed: Seed of the run.
        """
        return read_config(self.preset, _merge(_merge(overrides, self.changes), {"seed": seed}))


@dataclass(frozen=True)
class Column:
    """An additional column of a table, besides the attack's scores.

    Args:
        heading: Heading of the column.
        read: Function that reads the number from a run's metrics. Its interval is shown with one seed, or if a
            share or area is the same in all seeds.
        form: Format specification of the number.
        area: Whether the number is an area under a ROC curve.
    """

    heading: str
    read: Read
    form: str
    area: bool = False

    @property
    def in_unit_interval(self) -> bool:
        """Whether the number lies in [0, 1]: a share, whose form is a percentage, or an area."""
        return self.area or self.form.endswith("%")


@dataclass(frozen=True)
class Study:
    """A published table or figure, or one of our own.

    Args:
        name: Name of the command that reproduces it.
        title: Title of the table and figure.
        source: The published table or figure.
        cells: Function that returns the cells.
        picture: Kind of figure.
        axis: Label of a curve's horizontal axis.
        log_axis: Whether that axis is logarithmic.
        notes: Notes below the table, such as choices that the paper leaves open.
        columns: Columns of the table besides the attack's scores.
        conclude: Function that derives conclusions, as sentences, from the finished cells' summaries. If omitted, the
            table has no conclusions.
    """

    name: str
    title: str
    source: str
    cells: Callable[[], list[Cell]]
    picture: Picture = "bars"
    axis: str = ""
    log_axis: bool = False
    notes: Sequence[str] = ()
    columns: Sequence[Column] = ()
    conclude: Callable[[Sequence[Any]], list[str]] | None = None

    def choose(self, patterns: Sequence[str]) -> list[Cell]:
        """Return the cells whose names match any pattern, in the study's order.

        Args:
            patterns: Names with wildcards; empty means all cells.

        Raises:
            ConfigurationError: A pattern matches no cell.
        """
        cells = self.cells()
        for pattern in patterns:
            if not any(fnmatchcase(cell.name, pattern) for cell in cells):
                names = [cell.name for cell in cells]
                raise ConfigurationError(f"{self.name} has no cell {pattern!r}: {closest(pattern, names)}")
        return [
            cell
            for cell in cells
            if not patterns or any(fnmatchcase(cell.name, pattern) for pattern in patterns)
        ]


def _merge(overrides: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested configuration keys; `changes` win over `overrides`."""
    result = dict(overrides)
    for key, value in changes.items():
        inner = result.get(key)
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            result[key] = _merge(inner, value)
        else:
            result[key] = value
    return result
