"""The findings of `doctor` as one value."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from palimpsest.display import frame, html_table
from palimpsest.doctor.finding import Finding, Level

if TYPE_CHECKING:
    import pandas

_COLUMNS = ("level", "subject", "message")


@dataclass(frozen=True)
class Examination:
    """The findings of `doctor`; a notebook shows them as a table.

    Args:
        findings: The findings in the order of the checks; each has a `level` (`ok`, `warning` or `error`), a `subject`
            and a `message`.
    """

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no finding is an error; there may be warnings."""
        return all(finding.level is not Level.ERROR for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        return "\n".join(f"{one.level:<7} {one.subject:<13} {one.message}" for one in self.findings)

    def to_frame(self) -> "pandas.DataFrame":
        """One row for each finding.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        rows = [asdict(finding) | {"level": str(finding.level)} for finding in self.findings]
        return frame(rows, columns=_COLUMNS)

    def _repr_html_(self) -> str:
        return html_table(_COLUMNS, [[one.level, one.subject, one.message] for one in self.findings])
