"""Write the tables of file formats in docs/how-to/own-checkpoints.md: python -m docs.file_formats."""

import re
from collections.abc import Sequence
from pathlib import Path

from tests.support.checkpoint_formats import CHECKPOINT_FORMATS
from tests.support.format_case import FormatCase
from tests.support.image_formats import IMAGE_FORMATS

PAGE = Path(__file__).parent / "how-to" / "own-checkpoints.md"
TABLES = {"checkpoints": CHECKPOINT_FORMATS, "images": IMAGE_FORMATS}


def table(cases: Sequence[FormatCase]) -> str:
    """Return a table of formats and of what happens with each; neighbors with one outcome share a row.

    Args:
        cases: The tests' cases.
    """
    rows: list[tuple[list[str], str]] = []
    for case in cases:
        title = f"{case.title}, with {case.setting}" if case.setting else case.title
        if rows and rows[-1][1] == case.outcome:
            rows[-1][0].append(title)
        else:
            rows.append(([title], case.outcome))
    lines = [f"| {'; '.join(titles)} | {outcome} |" for titles, outcome in rows]
    return "\n".join(["| saved as | what happens |", "| --- | --- |", *lines])


def with_tables(page: str) -> str:
    """Return the page with the current tables between their markers.

    Args:
        page: The page's Markdown.
    """
    for name, cases in TABLES.items():
        start, end = f"<!-- formats: {name} -->", f"<!-- end of formats: {name} -->"
        pattern = re.compile(f"(?<={re.escape(start)}\n).*?(?={re.escape(end)})", re.DOTALL)
        content = f"\n{table(cases)}\n\n"
        page, count = pattern.subn(lambda _, content=content: content, page)
        if count != 1:
            raise ValueError(
                f"The page has {count} places for the table of {name}. Write {start} and {end} once."
            )
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
