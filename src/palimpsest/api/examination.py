"""What an examination found, as one value."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from palimpsest.display import frame, html_table
from palimpsest.doctor.finding import Finding, Level

if TYPE_CHECKING:
    import pandas

_COLUMNS = ("level", "piece", "sentence")


@dataclass(frozen=True)
class Examination:
    """Whether the pieces of a case fit; in a notebook it shows its findings.

    Args:
        findings: What was found, in the order in which it was looked at; each has a `level` (`fits`, `mind`, or
            `fault`), a `piece` and a `sentence`.
    """

    findings: tuple[Finding, ...]

    @property
    def fits(self) -> bool:
        """Whether there is no fault; there may be things to be minded."""
        return all(finding.level is not Level.FAULT for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        return "\n".join(f"{one.level:<5} {one.piece:<13} {one.sentence}" for one in self.findings)

    def to_frame(self) -> "pandas.DataFrame":
        """One row for each finding.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        rows = [asdict(finding) | {"level": str(finding.level)} for finding in self.findings]
        return frame(rows, columns=_COLUMNS)

    def _repr_html_(self) -> str:
        return html_table(_COLUMNS, [[one.level, one.piece, one.sentence] for one in self.findings])
