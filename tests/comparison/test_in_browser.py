"""The comparison page in a browser: sorting, color schemes and accessibility."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.browser import check_readable

from palimpsest.comparison import ComparedRun
from palimpsest.comparison.page import render_comparison


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
            {"data": "digits", "defenses": name, "attack": "igf"},
            {"mse": mse, "top1": top1},
            {"mse": (mse * 0.9, mse * 1.1)},
            1000.0 * mse,
            True,
        )
        for name, mse, top1 in scores
    ]


@pytest.fixture(scope="module")
def html() -> str:
    return render_comparison(compared(), title="Four runs")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible(scheme: str, html: str, open_page) -> None:
    check_readable(open_page(html, color_scheme=scheme))


def test_has_a_light_and_a_dark_mode(html: str, open_page) -> None:
    page = open_page(html, color_scheme="light").page
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(251, 248, 241)"
    page.click("#theme")
    assert page.evaluate(ground) == "rgb(25, 23, 20)"
    assert page.inner_text("#theme") == "Light mode"


def test_sorts_by_any_heading(html: str, open_page) -> None:
    page = open_page(html).page

    def names() -> list[str]:
        return page.eval_on_selector_all("tbody th", "cells => cells.map(cell => cell.textContent)")

    assert names() == ["orthogonal", "none", "sign", "a<b> & c"]
    page.get_by_role("button", name="MSE").click()
    assert names() == ["none", "a<b> & c", "sign", "orthogonal"]
    assert page.locator("th[aria-sort=ascending]").inner_text() == "MSE"
    page.keyboard.press("Enter")
    assert names() == ["orthogonal", "sign", "a<b> & c", "none"]
    page.get_by_role("button", name="identified (top-1)").click()
    assert names() == ["orthogonal", "sign", "a<b> & c", "none"]
    page.get_by_role("button", name="run").click()
    assert names() == ["a<b> & c", "none", "orthogonal", "sign"]


def test_missing_values_are_sorted_last(open_page) -> None:
    runs = [replace(compared()[0], values={}, intervals={}), *compared()[1:]]
    page = open_page(render_comparison(runs, title="One was stopped")).page
    for _ in range(2):
        page.get_by_role("button", name="MSE").click()
        assert page.locator("tbody tr:last-child th").inner_text() == "orthogonal"
