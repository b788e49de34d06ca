"""The pages as their readers use them, in headless Chromium."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from palimpsest.comparison import ComparedRun
from palimpsest.report import ReportInput, UnscoredInput, render_report, render_unscored
from palimpsest.report.compared import render_comparison

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
)

PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_api.sync_playwright() as playwright:
        path = found or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("There is no Chromium on this machine")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Open]:
    """Opens a file in a page of its own; in the end none may have complained, or asked anybody for anything."""
    contexts, complaints, requests = [], [], []

    def visit(path: Path, **settings: Any) -> Any:
        context = browser.new_context(**({"viewport": DESK} | settings))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file://", "data:"))] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, report: ReportInput) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "report.html").write_text(render_report(report))
    (folder / "redacted.html").write_text(render_report(report, redact=True))
    (folder / "comparison.html").write_text(render_comparison(compared(), title="Four runs"))
    (folder / "unscored.html").write_text(render_unscored(unscored(report)))
    return folder


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


def unscored(report: ReportInput) -> UnscoredInput:
    return UnscoredInput(
        title="An attack",
        command="palimpsest attack case.yaml",
        facts=[("Proofs", "120")],
        config=report.config,
        config_yaml=report.config_yaml,
        versions=report.versions,
        seconds=report.seconds,
        reconstructions=report.reconstructions,
        accepted=report.accepted,
        norms=report.norms,
        tau=3.2,
        curves=report.curves,
        knowledge=report.knowledge,
    )


def shown(page: Any) -> list[int]:
    """The numbers of the images in the gallery, in order."""
    return page.eval_on_selector_all("#cards .card", "cards => cards.map(card => Number(card.dataset.row))")


def counted(page: Any) -> int:
    """How many images the gallery says it lists."""
    text = page.inner_text("#status").replace(",", "")
    return (
        int(re.search(r"of (\d+)", text)[1]) if "of" in text.split("Images")[-1] and "Images" in text else 0
    )


def serious(page: Any) -> list[str]:
    violations = axe.Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:120]})"
        for one in violations
        if one["impact"] in ("serious", "critical")
    ]


def background(page: Any) -> int:
    """How bright the page is behind its text, 0 to 255."""
    channels = re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))
    return sum(map(int, channels[:3])) // 3


def test_the_gallery_sorts_by_each_score_both_ways(folder: Path, report: ReportInput, visit: Open) -> None:
    page = visit(folder / "report.html")
    for score, best_first in (("mse", 1), ("psnr", -1), ("lpips", 1)):
        for order, sign in (("best", 1), ("worst", -1)):
            page.select_option("#sort", score)
            page.select_option("#order", order)
            values = report.per_image[score][shown(page)] * sign * best_first
            assert len(values) == 48
            assert (values.diff() >= -1e-6).all(), (score, order)
    first = shown(page)
    page.click("#next")
    assert page.inner_text("#page") == "Page 2 of 3"
    assert not set(first) & set(shown(page))


def test_the_gallery_filters(folder: Path, report: ReportInput, visit: Open) -> None:
    page = visit(folder / "report.html")
    assert counted(page) == 120
    page.select_option("#class", "3")
    assert counted(page) == int((report.labels == 3).sum())
    page.select_option("#owner", "1")
    assert report.owners is not None
    both = (report.labels == 3) & (report.owners == 1)
    assert sorted(shown(page)) == both.nonzero().flatten().tolist()
    page.click("button[type=reset]")
    page.wait_for_function("document.getElementById('status').textContent.includes('of 120')")
    page.select_option("#accepted", "false")
    assert counted(page) == int((~report.accepted).sum())
    page.select_option("#accepted", "")
    page.select_option("#sort", "mse")
    page.fill("#high", "0.01")
    assert counted(page) == int((report.per_image["mse"] <= 0.01).sum())
    page.fill("#low", "5")
    assert page.inner_text("#status") == "No image fits this choice."


def test_an_image_is_enlarged_by_mouse_and_by_keyboard(
    folder: Path, report: ReportInput, visit: Open
) -> None:
    page = visit(folder / "report.html")
    rows = shown(page)
    page.click("#cards .card >> nth=2")
    assert page.evaluate("document.getElementById('enlarged').open")
    assert page.inner_text("#enlarged-title").startswith(f"Image {rows[2]},")
    widths = page.eval_on_selector_all("#enlarged img", "all => all.map(one => one.naturalWidth)")
    assert widths == [32] * 4
    assert page.evaluate("document.getElementById('large-original').clientWidth") > 150
    told = float(re.search(r"MSE\s+([\d.e-]+)", page.inner_text("#large-facts"))[1])
    assert told == pytest.approx(float(report.per_image["mse"][rows[2]]), rel=1e-3)
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#enlarged-title").startswith(f"Image {rows[3]},")
    page.keyboard.press("Escape")
    assert not page.evaluate("document.getElementById('enlarged').open")
    assert page.evaluate("document.activeElement.dataset.row") == str(rows[2])
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.inner_text("#enlarged-title").startswith(f"Image {rows[3]},")
    assert serious(page) == []


def test_what_the_page_shows_is_the_image_itself(folder: Path, report: ReportInput, visit: Open) -> None:
    page = visit(folder / "report.html")
    row = shown(page)[0]
    page.wait_for_function("document.querySelector('#cards img').complete")
    pixels = page.evaluate(
        """() => {
            const canvas = document.createElement("canvas");
            canvas.width = canvas.height = 32;
            const context = canvas.getContext("2d");
            context.drawImage(document.querySelector("#cards img"), 0, 0);
            return [...context.getImageData(0, 0, 32, 32).data];
        }"""
    )
    drawn = torch.tensor(pixels).view(32, 32, 4)[..., :3].permute(2, 0, 1)
    assert torch.equal(drawn, report.originals[row].mul(255).round().long())


@pytest.mark.parametrize("name", ["report", "redacted", "comparison"])
def test_light_and_dark(name: str, folder: Path, visit: Open) -> None:
    light = visit(folder / f"{name}.html", color_scheme="light")
    assert background(light) > 200
    light.click("#theme")
    assert background(light) < 60
    assert light.inner_text("#theme") == "Light page"
    assert background(visit(folder / f"{name}.html", color_scheme="dark")) < 60


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "redacted", "comparison", "unscored"])
def test_nothing_stands_in_the_way_of_a_reader(name: str, scheme: str, folder: Path, visit: Open) -> None:
    page = visit(folder / f"{name}.html", color_scheme=scheme)
    assert serious(page) == []
    page.set_viewport_size(PHONE)
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_redacted_page_holds_no_byte_of_an_image(folder: Path, visit: Open) -> None:
    page = visit(folder / "redacted.html")
    assert page.locator("img, canvas, dialog, #gallery, .card").count() == 0
    assert page.inner_text(".privacy").startswith("Redacted.")
    sources = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert not [source for source in sources if not source.startswith("data:,")]
    assert not re.search(rb"UklGR|iVBOR|/9j/|;base64,\w", (folder / "redacted.html").read_bytes())


def test_without_scripts_the_examples_are_there(folder: Path, visit: Open) -> None:
    page = visit(folder / "report.html", java_script_enabled=False)
    assert page.locator("#examples .card img").count() == 36
    assert "need JavaScript" in page.inner_text("#gallery")


def test_the_comparison_sorts_by_any_heading(folder: Path, visit: Open) -> None:
    page = visit(folder / "comparison.html")

    def names() -> list[str]:
        return page.eval_on_selector_all("tbody th", "cells => cells.map(cell => cell.textContent)")

    assert names() == ["orthogonal", "none", "sign", "a<b> & c"]
    page.click("text=MSE >> nth=0")
    assert names() == ["none", "a<b> & c", "sign", "orthogonal"]
    assert page.locator("th[aria-sort=ascending]").inner_text() == "MSE"
    page.keyboard.press("Enter")
    assert names() == ["orthogonal", "sign", "a<b> & c", "none"]
    page.click("th button >> nth=0")
    assert names() == ["a<b> & c", "none", "orthogonal", "sign"]


def test_five_thousand_images_stay_usable(
    make_report: Callable[..., ReportInput], tmp_path: Path, visit: Open
) -> None:
    path = tmp_path / "large.html"
    path.write_text(render_report(make_report(5000)))
    assert path.stat().st_size < 30 * 10**6
    start = time.monotonic()
    page = visit(path)
    assert time.monotonic() - start < 20
    assert counted(page) == 5000
    # No more than one page of the gallery and the examples are ever there to be drawn.
    assert page.locator("img").count() <= 2 * 48 + 36 + 4
    start = time.monotonic()
    page.select_option("#class", "7")
    page.select_option("#sort", "psnr")
    page.click("#next")
    page.click("#cards .card >> nth=0")
    assert page.evaluate("document.getElementById('enlarged').open")
    assert time.monotonic() - start < 5
