"""Source distribution and wheel."""

import zipfile
from pathlib import Path

from installation.build import PACKAGE, ROOT, build, missing_files


def test_the_wheel_from_the_source_distribution_has_every_file(tmp_path: Path) -> None:
    sdist, wheel = build(tmp_path)
    assert sdist.name.startswith("palimpsest_audit-")
    assert missing_files(wheel) == []


def test_names_the_files_that_a_wheel_lacks(tmp_path: Path) -> None:
    wheel = tmp_path / "incomplete.whl"
    kept = [path for path in (ROOT / PACKAGE).rglob("*") if path.is_file() and path.name != "py.typed"]
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in kept:
            archive.writestr(path.relative_to(ROOT / "src").as_posix(), "")
    assert missing_files(wheel) == ["palimpsest/py.typed"]
