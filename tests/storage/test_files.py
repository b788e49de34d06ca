import stat
from pathlib import Path

import pytest

from palimpsest.errors import ResourceError, RunError
from palimpsest.storage import remove_partial, write_json, write_text, written_whole


def test_temporary_file_is_private(tmp_path: Path) -> None:
    with written_whole(tmp_path / "secret") as temporary:
        temporary.write_text("half")
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
        assert temporary.parent == tmp_path
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_replaces_a_link_without_following_it(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("dear")
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    with written_whole(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "outside").read_text() == "dear"
    assert not (tmp_path / "link").is_symlink()


def test_removes_only_partial_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    partial = [tmp_path / ".a.7.partial", tmp_path / "deep" / ".b.8.partial"]
    kept = [tmp_path / "a.partial", tmp_path / "deep" / ".b"]
    for path in (*partial, *kept):
        path.write_text("")
    remove_partial(tmp_path)
    assert [path.exists() for path in (*partial, *kept)] == [False, False, True, True]


@pytest.mark.parametrize("name", ["text", ".hidden", "with space", "ü"])
def test_accepts_any_file_name(tmp_path: Path, name: str) -> None:
    with written_whole(tmp_path / name) as temporary:
        temporary.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_interrupted_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "text"
    write_text(path, "old")

    def interrupt() -> None:
        with written_whole(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["text"]


def test_full_disk_raises_a_resource_error() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("This system has no /dev/full")

    def fill(path: Path) -> None:
        with written_whole(path), full.open("w") as file:
            file.write("x" * 10**6)

    with pytest.raises(ResourceError, match="disk is full"):
        fill(Path("x"))


def test_rejects_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="Choose a writable folder"):
        write_json(tmp_path / "file" / "value.json", {})


def test_json_rejects_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x", {"a": float("nan")})
