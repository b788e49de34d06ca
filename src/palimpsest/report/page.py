"""Write, load and render the report and the evidence page of a run folder, without the data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from palimpsest.errors import PalimpsestError, RunError
from palimpsest.report.evidence import build_evidence
from palimpsest.report.inputs import ReportInput
from palimpsest.report.redaction import redacted
from palimpsest.report.render import render_evidence, render_report
from palimpsest.report.verdict import Verdict, judge
from palimpsest.storage import write_json, write_text

T = TypeVar("T")


EVIDENCE = "evidence.html", "evidence.json"
"""The evidence page as a file of its own, and the same as values."""


def write_page(folder: Path, page: ReportInput, verdict: Verdict) -> None:
    """Write `report.html`, `report.safetensors` from which it can be rendered again, and the evidence page.

    Args:
        folder: The run folder.
        page: The contents of the page. It holds images, so only the owner can read the files.
        verdict: The verdict of `judge` on the page.
    """
    page.save(folder / "report.safetensors")
    write_text(folder / "report.html", render_page(page, verdict))
    html, values = (folder / name for name in EVIDENCE)
    write_text(html, render_evidence(page, verdict))
    write_json(values, build_evidence(page, verdict).model_dump(mode="json"))


def load_page(folder: Path) -> ReportInput:
    """Load the contents of a run's page.

    Raises:
        RunError: The run has no page because it is not finished or was purged.
        CheckpointError: The file is damaged.
    """
    path = folder / "report.safetensors"
    if not path.is_file():
        raise RunError(
            f"{folder} has no report, because the run is not finished or was purged. Finish it with the command that "
            "started it."
        )
    return ReportInput.load(path)


def draw_again(page: ReportInput, *, redact: bool = False, evidence: bool = False) -> str:
    """Render the page of an untrusted run folder as HTML.

    Args:
        page: The contents of the page.
        redact: Leave out every image, every row about a single sample, and every path, address and file name.
        evidence: Render the evidence page instead of the report.

    Raises:
        RunError: The page can't be rendered.
    """
    render = render_evidence if evidence else render_page
    return _guarded(lambda: render(page, judge(page), redact=redact))


def evidence_values(page: ReportInput, *, redact: bool = False) -> dict[str, Any]:
    """Return the contents of `evidence.json` for the page of an untrusted run folder.

    Args:
        page: The contents of the page.
        redact: Leave out every path, address and file name.

    Raises:
        RunError: The page can't be evaluated.
    """

    def values() -> dict[str, Any]:
        shown = redacted(page) if redact else page
        return build_evidence(shown, judge(shown), redacted=redact).model_dump(mode="json")

    return _guarded(values)


def _guarded(render: Callable[[], T]) -> T:
    try:
        return render()
    except PalimpsestError:
        raise
    # Absurd values of the right types can raise errors of any type in Matplotlib and in the template.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"The report can't be rendered ({type(error).__name__}: {reason}). The run is damaged or was made by "
            "another version. Repeat the run."
        ) from error


def render_page(page: ReportInput, verdict: Verdict, *, redact: bool = False) -> str:
    """Render the page as HTML.

    Args:
        page: The contents of the page.
        verdict: The verdict of `judge` on the page.
        redact: Leave out every image, every row about a single sample, and every path, address and file name.
    """
    return render_report(page, verdict, redact=redact)
