"""Write, load and render the report page of a run folder, without the data set."""

from pathlib import Path

from palimpsest.errors import PalimpsestError, RunError
from palimpsest.report.inputs import ReportInput
from palimpsest.report.render import render_report
from palimpsest.report.verdict import Verdict, judge
from palimpsest.storage import write_text


def write_page(folder: Path, page: ReportInput, verdict: Verdict) -> None:
    """Write `report.html`, and `report.safetensors` from which it can be rendered again.

    Args:
        folder: The run folder.
        page: The contents of the page. It holds images, so only the owner can read the files.
        verdict: The verdict of `judge` on the page.
    """
    page.save(folder / "report.safetensors")
    write_text(folder / "report.html", render_page(page, verdict))


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


def draw_again(page: ReportInput, *, redact: bool = False) -> str:
    """Render the page of an untrusted run folder as HTML; arguments as for `render_page`.

    Raises:
        RunError: The page can't be rendered.
    """
    try:
        return render_page(page, judge(page), redact=redact)
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
