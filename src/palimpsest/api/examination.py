"""The result of `doctor`: its findings, as a table in notebooks."""

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
    """The findings of `doctor`. Notebooks display them as a table.

    Args:
        findings: The findings in the order of the checks; each has a `level` (`ok`, `warning` or `error`), a `subject`
            and a `message`.

    Example:
        >>> from palimpsest import Examination
        >>> from palimpsest.doctor.finding import Finding, Level
        >>> examination = Examination((Finding(Level.WARNING, "images", "Only 40 auxiliary images."),))
        >>> examination.ok, len(examination)
        (True, 1)
        >>> print(examination)
        warning images        Only 40 auxiliary images.
    """

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """True if no finding is an error; warnings are allowed."""
        return all(finding.level is not Level.ERROR for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        """Iterate over the findings in the order of the checks."""
        return iter(self.findings)

    def __len__(self) -> int:
        """Return the number of findings."""
        return len(self.findings)

    def __str__(self) -> str:
        """Return the findings as text, one per line."""
        return "\n".join(
            f"{finding.level:<7} {finding.subject:<13} {finding.message}" for finding in self.findings
        )

    def to_frame(self) -> "pandas.DataFrame":
        """Return a data frame with one row for each finding.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        rows = [asdict(finding) | {"level": str(finding.level)} for finding in self.findings]
        return frame(rows, columns=_COLUMNS)

    def _repr_html_(self) -> str:
        rows = [[finding.level, finding.subject, finding.message] for finding in self.findings]
        return html_table(_COLUMNS, rows)
