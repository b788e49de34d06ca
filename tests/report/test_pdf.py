from pathlib import Path

import pytest

from palimpsest.errors import ResourceError
from palimpsest.report.pdf import CHROMIUM_NAMES, find_chromium, write_pdf


def stand_in(folder: Path, script: str) -> None:
    """Install a program in place of Chromium."""
    program = folder / CHROMIUM_NAMES[0]
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_prints_a_page_of_its_own_only(tmp_path: Path) -> None:
    try:
        find_chromium()
    except ResourceError:
        pytest.skip("no Chromium on this machine's path")
    write_pdf("<title>x</title><p>Forgotten</p>", tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "page.pdf").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["page.pdf"]


def test_without_chromium_the_error_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ResourceError, match="needs Chromium"):
        write_pdf("<p>x</p>", tmp_path / "page.pdf")


def test_a_chromium_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    stand_in(tmp_path, "echo no display >&2; exit 1")
    with pytest.raises(ResourceError, match=r"printed no PDF .no display"):
        write_pdf("<p>x</p>", tmp_path / "page.pdf")
    assert not (tmp_path / "page.pdf").exists()


def test_chromium_gets_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    stand_in(tmp_path, f'for word in "$@"; do echo "$word" >> {tmp_path}/words; done')
    with pytest.raises(ResourceError, match="it gave no reason"):
        write_pdf("<p>x</p>", tmp_path / "page.pdf")
    words = (tmp_path / "words").read_text().splitlines()
    assert "--host-resolver-rules=MAP * ~NOTFOUND" in words
    assert "--headless" in words
