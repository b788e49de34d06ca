"""A page as PDF, printed by an installed Chromium."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from palimpsest.errors import ResourceError
from palimpsest.storage import written_whole

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
"""Names under which Chromium is installed."""
_SECONDS = 300
_NO_NETWORK = (
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--proxy-server=127.0.0.1:9",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str:
    """Return the path of an installed Chromium.

    Raises:
        ResourceError: None is on the search path.
    """
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None:
        raise ResourceError(
            f"A PDF needs Chromium, and none of {', '.join(CHROMIUM_NAMES)} is on the search path. Install Chromium, "
            "or open the report in a browser and print it."
        )
    return found


def write_pdf(html: str, path: Path) -> None:
    """Print a page to a PDF that only the owner can read. Chromium runs headless and has no network.

    Args:
        html: The page.
        path: The file to write.

    Raises:
        ResourceError: There is no Chromium, or it fails.
    """
    chromium = find_chromium()
    with TemporaryDirectory() as folder, written_whole(path) as unfinished:
        source, printed = Path(folder, "report.html"), Path(folder, "report.pdf")
        source.write_text(html, encoding="utf-8")
        # Chromium's sandbox does not work for root, and the page runs no scripts but its own.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [
            chromium,
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            *_NO_NETWORK,
            *sandbox,
            f"--user-data-dir={Path(folder, 'profile')}",
            "--no-pdf-header-footer",
            f"--print-to-pdf={printed}",
            source.as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False, text=True)
            reason = done.stderr.strip()[-300:]
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = str(error)[:300]
        if not printed.is_file() or not printed.stat().st_size:
            raise ResourceError(
                f"{chromium} printed no PDF ({reason or 'it gave no reason'}). Open the report in a browser and print "
                "it."
            )
        shutil.copyfile(printed, unfinished)
