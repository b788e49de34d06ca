"""All pages alike: nobody is kept out, nothing is loaded; and the comparison's own table."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.pages import draw, unscored_page

from palimpsest.comparison import ComparedRun
from palimpsest.comparison.page import render_comparison
from palimpsest.report import ReportInput

PAGES = ("report", "redacted", "comparison", "unscored")
PHONE = {"width": 360, "height": 740}


def compared() -> list[ComparedRun]:
    scores = (
        ("orthogonal", 0.09, 0.01),
        ("none", 0.002, 0.81),
        ("sign", 0.04, 0.3),
        ("a<b> & c", 0.011, 0.5),
    )
    return [
        ComparedRun(
            Path(f"runs/{name}"),
            {"data": "digits", "defences": name, "attack": "igf"},
            {"mse": mse, "top1": top1},
            {"mse": (mse * 0.9, mse * 1.1)},
            1000.0 * mse,
            True,
        )
        for name, mse, top1 in scores
    ]


@pytest.fixture(scope="module")
def pages(report: ReportInput) -> dict[str, str]:
    return {
        "report": draw(report),
        "redacted": draw(report, redact=True),
        "comparison": render_comparison(compared(), title="Four runs"),
        "unscored": draw(unscored_page(12)),
    }


def serious(page: Any) -> list[str]:
    """What axe-core finds that keeps somebody from reading or using the page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")
    return [
        f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:120]})"
        for one in axe.Axe().run(page).response["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_stands_in_the_way_of_a_reader(
    name: str, scheme: str, pages: dict[str, str], open_page
) -> None:
    opened = open_page(pages[name], color_scheme=scheme)
    page = opened.page
    assert serious(page) == []
    page.set_viewport_size(PHONE)
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert opened.complaints == []
    assert opened.requests == []


def test_nor_does_the_enlarged_image(pages: dict[str, str], open_page) -> None:
    page = open_page(pages["report"]).page
    page.click("#cards .card")
    assert page.is_visible("#enlarged")
    assert serious(page) == []


def test_axe_finds_what_is_wrong(open_page) -> None:
    assert serious(open_page("<html lang=en><title>x</title><main><h1>x</h1><img src='data:,'></main>").page)


def test_the_comparison_has_a_light_and_a_dark_page(pages: dict[str, str], open_page) -> None:
    page = open_page(pages["comparison"], color_scheme="light").page
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(251, 248, 241)"
    page.click("#theme")
    assert page.evaluate(ground) == "rgb(25, 23, 20)"
    assert page.inner_text("#theme") == "Light page"


def test_the_comparison_sorts_by_any_heading(pages: dict[str, str], open_page) -> None:
    page = open_page(pages["comparison"]).page

    def names() -> list[str]:
        return page.eval_on_selector_all("tbody th", "cells => cells.map(cell => cell.textContent)")

    assert names() == ["orthogonal", "none", "sign", "a<b> & c"]
    page.get_by_role("button", name="MSE").click()
    assert names() == ["none", "a<b> & c", "sign", "orthogonal"]
    assert page.locator("th[aria-sort=ascending]").inner_text() == "MSE"
    page.keyboard.press("Enter")
    assert names() == ["orthogonal", "sign", "a<b> & c", "none"]
    page.get_by_role("button", name="told apart").click()
    assert names() == ["orthogonal", "sign", "a<b> & c", "none"]
    page.get_by_role("button", name="run").click()
    assert names() == ["a<b> & c", "none", "orthogonal", "sign"]


def test_what_a_run_does_not_have_is_sorted_last(open_page) -> None:
    runs = [replace(compared()[0], values={}, intervals={}), *compared()[1:]]
    page = open_page(render_comparison(runs, title="One was stopped")).page
    for _ in range(2):
        page.get_by_role("button", name="MSE").click()
        assert page.locator("tbody tr:last-child th").inner_text() == "orthogonal"
