"""A run's page in its folder: written once, rendered as often as wanted, without the data set."""

from pathlib import Path

from palimpsest.errors import PalimpsestError, RunError
from palimpsest.report.inputs import ReportInput
from palimpsest.report.render import render_report
from palimpsest.report.samples import SamplesInput, render_samples
from palimpsest.report.unscored import UnscoredInput, render_unscored
from palimpsest.storage import read_tensors, write_text

Page = ReportInput | UnscoredInput | SamplesInput
_KINDS = {kind.__name__: kind for kind in (ReportInput, UnscoredInput, SamplesInput)}


def write_page(folder: Path, page: Page) -> None:
    """Write `report.html`, and what it was made from.

    Args:
        folder: The run folder.
        page: Everything that the page shows; it holds images, and is stored as privately as they are.
    """
    page.save(folder / "report.safetensors")
    write_text(folder / "report.html", render_page(page))


def load_page(folder: Path) -> Page:
    """What a run's page was made from.

    Raises:
        RunError: The run has no page: it is not finished, or was purged.
        CheckpointError: The file is damaged.
    """
    path = folder / "report.safetensors"
    if not path.is_file():
        raise RunError(f"{folder} has no report: run its command to the end first, unless it was purged.")
    kind = _KINDS.get(read_tensors(path)[1].get("record", ""), ReportInput)
    return kind.load(path)


def draw_again(page: Page, *, redact: bool = False) -> str:
    """The page as HTML, of a run folder that anybody may have made; arguments as for `render_page`.

    Raises:
        RunError: Nothing of the page would be left, or it can't be drawn.
    """
    try:
        return render_page(page, redact=redact)
    except PalimpsestError:
        raise
    # What has the right types and holds anything at all leads Matplotlib and the template into errors of any type.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"The report can't be drawn ({type(error).__name__}: {reason}): its run is damaged or of another version; "
            "run its command again."
        ) from error


def render_page(page: Page, *, redact: bool = False) -> str:
    """The page as HTML.

    Args:
        page: Everything that it shows.
        redact: Leave out every image and every row about a single sample.

    Raises:
        RunError: Nothing of the page would be left.
    """
    if isinstance(page, ReportInput):
        return render_report(page, redact=redact)
    if redact:
        raise RunError(
            "An attack without the truth, or on what is no image, has nothing but samples to show: there is no "
            "redacted page of it."
        )
    if isinstance(page, SamplesInput):
        return render_samples(page)
    return render_unscored(page)
