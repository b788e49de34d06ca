"""Take the documentation's screenshots: python docs/screenshots.py RUN DEFENDED [CHROMIUM].

RUN and DEFENDED are the folders of the tutorial's first two audits, runs/demo and runs/orthogonal.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, sync_playwright

import palimpsest as pp

DOCS = Path(__file__).parent


@dataclass(frozen=True)
class Shot:
    """One screenshot.

    Args:
        file: Path of the image, relative to this folder.
        page: The page to show.
        size: Width and height of the window in pixels.
        scheme: Color scheme, light or dark.
        at: CSS selector of the element to scroll to; if omitted, the top of the page.
        scale: Number of image pixels for each window pixel.
    """

    file: str
    page: Path
    size: tuple[int, int]
    scheme: str = "light"
    at: str | None = None
    scale: float = 1


def take(browser: Browser, shot: Shot) -> None:
    """Open the page and write the screenshot."""
    width, height = shot.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if shot.scheme == "dark" else "light",
        device_scale_factor=shot.scale,
    )
    page = context.new_page()
    page.goto(shot.page.resolve().as_uri())
    if shot.at:
        page.locator(shot.at).evaluate("element => element.scrollIntoView()")
    page.wait_for_function("[...document.images].every(image => image.complete)")
    page.screenshot(path=DOCS / shot.file)
    context.close()


def main(run: Path, defended: Path, chromium: str | None = None) -> None:
    """Take all screenshots.

    Args:
        run: Run folder of the tutorial's first audit.
        defended: Run folder of the tutorial's second audit.
        chromium: Path of Chromium; if omitted, Playwright's own browser.
    """
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = pp.report(run, out=Path(folder) / "report.html")
        pp.compare(run, defended, out=folder)
        comparison = Path(folder) / "comparison.html"
        browser = playwright.chromium.launch(executable_path=chromium)
        for shot in (
            Shot("images/report-light.png", report, (1280, 860)),
            Shot("images/report-dark.png", report, (1280, 860), scheme="dark"),
            Shot("images/report-gallery.png", report, (1280, 860), at="#gallery"),
            Shot("images/report-phone.png", report, (390, 844), scale=1.5),
            Shot("images/comparison.png", comparison, (1280, 860)),
            Shot("report.png", report, (1200, 1500)),
        ):
            take(browser, shot)
        browser.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]), *sys.argv[3:4])
