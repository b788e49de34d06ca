"""The private page of a comparison: the same forgotten images, as each run reconstructed them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from markupsafe import Markup

from palimpsest.comparison.run_summary import ComparedRun
from palimpsest.comparison.table import run_names
from palimpsest.errors import PalimpsestError
from palimpsest.report import ReportInput, load_page, sorting_score
from palimpsest.report.gallery import encode_images, order
from palimpsest.report.render import asset, content_policy, template
from palimpsest.report.scores import PER_IMAGE, format_score
from palimpsest.storage import tensor_hash

SAMPLES_PAGE = "comparison-samples.html"
"""The name of the page, beside that of the comparison. It shows forgotten images."""
MOST_COLUMNS = 8
"""The number of images that are shown."""


@dataclass(frozen=True)
class SameSamples:
    """Forgotten images that several runs reconstructed.

    Args:
        names: The runs' names.
        verdicts: The runs' verdicts; empty if a run has none.
        pages: The contents of the runs' reports.
        rows: The number of each image in each run, one list of the same length for each run.
        absent: Names of the runs that show none of these images, with the reason.
    """

    names: list[str]
    verdicts: list[str]
    pages: list[ReportInput]
    rows: list[list[int]]
    absent: list[tuple[str, str]]


def find_same_samples(runs: Sequence[ComparedRun]) -> SameSamples | None:
    """Find images that several runs have forgotten, in the reports of the runs.

    Args:
        runs: The runs, in order.

    Returns:
        The images that are common to the first run with images and to all runs that share images with it, the most
        exposed ones first. None if there are fewer than two such runs, or no common image.
    """
    found: dict[int, tuple[ReportInput, dict[str, int]]] = {}
    absent: dict[int, str] = {}
    for index, run in enumerate(runs):
        try:
            page = load_page(run.folder)
        except PalimpsestError:
            absent[index] = "its report is missing or can't be read"
            continue
        if page.originals is None or not page.per_image:
            absent[index] = "it has no scored images"
            continue
        hashes = {tensor_hash(image): row for row, image in enumerate(page.originals)}
        if found and not set(hashes) & set(next(iter(found.values()))[1]):
            absent[index] = "it has forgotten other images"
            continue
        found[index] = page, hashes
    common = _common([hashes for _, hashes in found.values()])
    if len(found) < 2 or not common:
        return None
    names, pages = run_names(runs), [page for page, _ in found.values()]
    rows = [[hashes[image] for image in common] for _, hashes in found.values()]
    chosen = _most_exposed(pages, rows)
    return SameSamples(
        names=[names[index] for index in found],
        verdicts=[runs[index].verdict for index in found],
        pages=pages,
        rows=[[numbers[position] for position in chosen] for numbers in rows],
        absent=[(names[index], reason) for index, reason in absent.items()],
    )


def render_same_samples(samples: SameSamples, *, title: str) -> str:
    """Render the page: one file that loads nothing.

    Args:
        samples: The images and the runs.
        title: The heading of the page.

    Returns:
        A whole HTML document. It holds forgotten images and must be kept private.
    """
    style, script = asset("report.css"), asset("theme.js")
    first = samples.pages[0]
    score = PER_IMAGE[sorting_score(first.per_image)]
    originals, _ = first.truth
    lines = [
        (
            name,
            verdict,
            [
                (picture, *_score(page, row))
                for picture, row in zip(encode_images(page.reconstructions[rows]), rows, strict=True)
            ],
        )
        for name, verdict, page, rows in zip(
            samples.names, samples.verdicts, samples.pages, samples.rows, strict=True
        )
    ]
    return template("same_samples.html").render(
        title=title,
        policy=content_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        originals=encode_images(originals[samples.rows[0]]),
        numbers=samples.rows[0],
        size=list(originals.shape[-2:]),
        score=score,
        lines=lines,
        absent=samples.absent,
    )


def _common(hashes: Sequence[dict[str, int]]) -> list[str]:
    """Return the images that all runs have, in the order of the first run."""
    return [image for image in (hashes[0] if hashes else ()) if all(image in other for other in hashes)]


def _most_exposed(pages: Sequence[ReportInput], rows: Sequence[Sequence[int]]) -> list[int]:
    """Return positions of the images with the smallest mean rank of their exposure over the runs."""
    places = torch.zeros(len(rows[0]))
    for page, numbers in zip(pages, rows, strict=True):
        name = sorting_score(page.per_image)
        ranked = order(name, page.per_image[name][list(numbers)])
        places[ranked] += torch.arange(len(ranked), dtype=torch.float32)
    return places.argsort(stable=True)[:MOST_COLUMNS].tolist()


def _score(page: ReportInput, row: int) -> tuple[str, bool]:
    """Return the score of one image in one run, and whether the image is identified."""
    name = sorting_score(page.per_image)
    identified = page.identified is not None and bool(page.identified[row])
    return f"{PER_IMAGE[name].label} {format_score(name, float(page.per_image[name][row]))}", identified
