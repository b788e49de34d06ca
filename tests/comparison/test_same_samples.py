from pathlib import Path

import torch
from tests.support.pages import synthetic_report, unscored_page

from palimpsest.comparison import ComparedRun
from palimpsest.comparison.same_samples import MOST_COLUMNS, find_same_samples, render_same_samples
from palimpsest.report import ReportInput


def stored(folder: Path, page: ReportInput | None) -> ComparedRun:
    """Store the contents of a run's report, and return the run."""
    folder.mkdir()
    if page is not None:
        page.save(folder / "report.safetensors")
    return ComparedRun(folder, {"attack": folder.name}, {}, {}, 1.0, True, verdict="leaks")


def shuffled(page: ReportInput, order: torch.Tensor) -> ReportInput:
    """Return the page with its images in another order."""
    originals, labels = page.truth
    return synthetic_report(
        len(order),
        originals=originals[order],
        labels=labels[order],
        reconstructions=page.reconstructions[order],
        per_image={name: values[order] for name, values in page.per_image.items()},
    )


def test_the_same_images_are_found_in_any_order(tmp_path: Path) -> None:
    first = synthetic_report(12)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    runs = [stored(tmp_path / "one", first), stored(tmp_path / "two", shuffled(first, order))]
    found = find_same_samples(runs)
    assert found is not None
    assert len(found.rows[0]) == MOST_COLUMNS
    assert [order[row].item() for row in found.rows[1]] == found.rows[0]
    # The images of which the attacks reveal most come first.
    assert found.rows[0] == first.per_image["lpips"].argsort().tolist()[:MOST_COLUMNS]


def test_runs_without_these_images_are_named(tmp_path: Path) -> None:
    page = synthetic_report(12)
    other = synthetic_report(12, originals=1 - page.truth[0])
    runs = [
        stored(tmp_path / name, contents)
        for name, contents in {
            "one": page,
            "two": page,
            "other": other,
            "blind": unscored_page(),
            "purged": None,
        }.items()
    ]
    found = find_same_samples(runs)
    assert found is not None
    assert found.names == ["one", "two"]
    assert dict(found.absent) == {
        "other": "it has forgotten other images",
        "blind": "it has no scored images",
        "purged": "its report is missing or can't be read",
    }
    html = render_same_samples(found, title="Two <runs>")
    assert "Keep this file private." in html
    assert "Two &lt;runs&gt;" in html
    assert "purged (its report is missing" in html
    assert html.count("<img") == 3 * MOST_COLUMNS
    assert html.count("identified</span>") > 0


def test_a_single_run_has_no_images_to_compare(tmp_path: Path) -> None:
    assert find_same_samples([stored(tmp_path / "one", synthetic_report(12))]) is None
    assert find_same_samples([stored(tmp_path / "none", None)]) is None
