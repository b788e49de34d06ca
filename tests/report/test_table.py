from typing import Any

import pytest
import torch
from tests.support.pages import unscored_page

from palimpsest.report import ReportInput
from palimpsest.report.table import per_image_columns


def test_scored_page_has_all_columns(report: ReportInput) -> None:
    columns = per_image_columns(report)
    assert list(columns) == [
        *("image", "client", "label", "accepted", "norm"),
        *("mse", "psnr", "ssim", "lpips", "rank"),
    ]
    assert {len(values) for values in columns.values()} == {120}
    assert report.owners is not None
    assert columns["client"] == report.owners.tolist()
    assert columns["mse"] == report.per_image["mse"].tolist()
    assert type(columns["accepted"][0]) is bool


def test_unscored_page_has_no_scores() -> None:
    columns = per_image_columns(unscored_page(2))
    assert columns == {"image": [0, 1], "accepted": [False, True], "norm": [0.0, 1.0]}


@pytest.mark.parametrize(
    ("changes", "missing"),
    [({"owners": None}, {"client"}), ({"accepted": None, "norms": None}, {"accepted", "norm"})],
)
def test_leaves_out_unknown_columns(changes: dict[str, Any], missing: set[str], make_report) -> None:
    whole, partial = per_image_columns(make_report(3)), per_image_columns(make_report(3, **changes))
    assert set(whole) - set(partial) == missing


def test_numbers_the_reconstructions() -> None:
    page = unscored_page(3, accepted=None, norms=None, reconstructions=torch.rand(5, 1, 8, 8))
    assert per_image_columns(page) == {"image": [0, 1, 2, 3, 4]}
