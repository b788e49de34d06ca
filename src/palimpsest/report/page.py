"""A run's page in its folder: written once, rendered as often as wanted, without the data set."""

from pathlib import Path

from palimpsest.errors import PalimpsestError, RunError
from palimpsest.report.inputs import ReportInput
from palimpsest.report.render import render_report
from palimpsest.report.samples import render_samples
from palimpsest.report.unscored import render_unscored
from palimpsest.report.verdict import Verdict, judge
from palimpsest.storage import write_text


def write_page(folder: Path, page: ReportInput, verdict: Verdict) -> None:
    """Write `report.html`, and what it was made from.

    Args:
        folder: The run folder.
        page: Everything that the page shows; it holds images, and is stored as privately as they are.
        verdict: What `judge` says of the page.
    """
    page.save(folder / "report.safetensors")
    write_text(folder / "report.html", render_page(page, verdict))


def load_page(folder: Path) -> ReportInput:
    """What a run's page was made from.

    Raises:
        RunError: The run has no page: it is not finished, or was purged.
        CheckpointError: The file is damaged.
    """
    path = folder / "report.safetensors"
    if not path.is_file():
        raise RunError(f"{folder} has no report: run its command to the end first, unless it was purged.")
    return ReportInput.load(path)


def draw_again(page: ReportInput, *, redact: bool = False) -> str:
    """The page as HTML, of a run folder that anyone may have made; arguments as for `render_page`.

    Raises:
        RunError: Nothing of the page would be left, or it can't be drawn.
    """
    try:
        return render_page(page, judge(page), redact=redact)
    except PalimpsestError:
        raise
    # Values of the right types with absurd contents lead Matplotlib and the template into errors of any type.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"The report can't be drawn ({type(error).__name__}: {reason}): its run is damaged or of another version; "
            "run its command again."
        ) from error


def render_page(page: ReportInput, verdict: Verdict, *, redact: bool = False) -> str:
    """The page as HTML.

    Args:
        page: Everything that it shows.
        verdict: What `judge` says of the page.
        redact: Leave out every image and every row about a single sample.

    Raises:
        RunError: Nothing of the page would be left.
    """
    if page.originals is not None:
        return render_report(page, verdict, redact=redact)
    if redact:
        raise RunError(
            "The page of an attack without the forgotten samples, or on samples that are not images, shows nothing but "
            "samples: there is no redacted page of it."
        )
    return render_samples(page, verdict) if page.cells else render_unscored(page)
