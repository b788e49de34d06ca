import json
import os
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.support.warnings import Warnings
from torch import Tensor

from palimpsest.config import AuditConfig, build_config
from palimpsest.errors import RunError
from palimpsest.progress import with_callbacks
from palimpsest.runs import Run
from palimpsest.storage import Record


@dataclass(frozen=True)
class Sum(Record):
    total: Tensor


class Counter:
    """Makes sums, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, value: float) -> Sum:
        self.calls += 1
        return Sum(torch.tensor(value))


def opened(folder: Path, config: AuditConfig | None = None, *, replace: bool = False) -> Run:
    return Run.open(folder, config or AuditConfig(), console=Console(quiet=True), replace=replace)


def test_loads_a_finished_stage(tmp_path: Path) -> None:
    count = Counter()
    for _ in range(2):
        with opened(tmp_path / "run") as run:
            result = run.stage("sum", Sum, lambda _: count(3.0), key=(3,))
            assert result.total == 3
    assert count.calls == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [(1, 2), ("a", "b"), (torch.ones(2), torch.zeros(2)), ((1, 2), (2, 1)), ({"a": 1}, {"a": 2}), (None, 0)],
)
def test_computes_a_stage_again_for_other_inputs(tmp_path: Path, first: object, second: object) -> None:
    count = Counter()
    with opened(tmp_path) as run:
        for value in (first, second, second):
            run.stage("sum", Sum, lambda _: count(0.0), key=(value,))
    assert count.calls == 2


def test_stage_depends_on_earlier_stages(tmp_path: Path) -> None:
    count = Counter()
    for value in (1.0, 2.0):
        with opened(tmp_path) as run:
            first = run.stage("first", Sum, lambda _, value=value: count(value), key=(value,))
            second = run.stage(
                "second", Sum, lambda _, first=first: count(float(first.total) + 1), key=(first,)
            )
    assert second.total == 3
    assert count.calls == 4


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete"])
def test_computes_a_damaged_stage_again(tmp_path: Path, damage: str) -> None:
    count = Counter()
    path = tmp_path / "sum.safetensors"
    with opened(tmp_path) as run:
        run.stage("sum", Sum, lambda _: count(3.0), key=(3,))
    content = bytearray(path.read_bytes())
    if damage == "delete":
        path.unlink()
    elif damage == "truncate":
        path.write_bytes(content[:-1])
    else:
        content[-1] ^= 1
        path.write_bytes(content)
    with opened(tmp_path) as run:
        assert run.stage("sum", Sum, lambda _: count(3.0), key=(3,)).total == 3
    assert count.calls == 2


def test_scratch_folder_is_kept_until_the_stage_is_finished(tmp_path: Path) -> None:
    found: list[str] = []

    def work(scratch: Path) -> Sum:
        scratch.mkdir(parents=True, exist_ok=True)
        found.extend(item.name for item in scratch.iterdir())
        if not found:
            (scratch / "half").write_text("")
            raise KeyboardInterrupt
        return Sum(torch.ones(()))

    with pytest.raises(KeyboardInterrupt), opened(tmp_path) as run:
        run.stage("sum", Sum, work, key=())
    with opened(tmp_path) as run:
        run.stage("sum", Sum, work, key=())
    assert found == ["half"]
    assert list((tmp_path / ".unfinished").iterdir()) == []


def test_only_one_process_can_use_a_folder(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(RunError, match="Another process is using"):
        opened(tmp_path)
    with opened(tmp_path):
        pass


def test_rejects_another_configuration_unless_it_replaces(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.stage("sum", Sum, lambda _: Sum(torch.ones(())), key=())
    other = build_config({"federation": {"rounds": 7}})
    with pytest.raises(RunError, match=r"federation.rounds: 20 in the folder, 7 now.*--replace"):
        opened(tmp_path, other)
    with opened(tmp_path, other, replace=True):
        pass
    with opened(tmp_path, other):
        pass


def test_accepts_another_configuration_if_no_stage_is_finished(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with opened(tmp_path, build_config({"federation": {"rounds": 7}})) as run:
        assert run.manifest["config"]["federation"]["rounds"] == 7
    assert json.loads((tmp_path / "manifest.json").read_text())["config"]["federation"]["rounds"] == 7


def test_rejects_a_folder_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="holds no run"):
        opened(tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_rejects_a_damaged_manifest(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(RunError, match="damaged or of another version"):
        opened(tmp_path)


def test_manifest_records_the_stages(tmp_path: Path) -> None:
    with opened(tmp_path / "run") as run:
        run.stage("sum", Sum, lambda _: Sum(torch.ones(())), key=(1,))
        assert run.seconds().keys() == {"sum"}
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["stages"]["sum"].keys() == {
        "key",
        "inputs",
        "sha256",
        "bytes",
        "seconds",
        "peak_memory_mib",
    }
    assert manifest["stages"]["sum"]["peak_memory_mib"] > 0
    assert manifest["versions"]["torch"] == torch.__version__
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


def test_reuses_finished_stages_of_siblings_if_intact(tmp_path: Path) -> None:
    count = Counter()
    with opened(tmp_path / "first") as run:
        run.stage("sum", Sum, lambda _: count(3.0), key=(3,))

    def sibling(name: str, value: float) -> Sum:
        folders = [tmp_path / "missing", tmp_path / "first"]
        with Run.open(tmp_path / name, AuditConfig(), console=Console(quiet=True), siblings=folders) as run:
            return run.stage("sum", Sum, lambda _: count(value), key=(int(value),))

    assert sibling("same", 3.0).total == 3
    assert count.calls == 1
    # The reused stage remains when the sibling's file is removed.
    (tmp_path / "first" / "sum.safetensors").unlink()
    with opened(tmp_path / "same") as run:
        assert run.stage("sum", Sum, lambda _: count(3.0), key=(3,)).total == 3
    assert count.calls == 1
    assert sibling("other", 4.0).total == 4
    (tmp_path / "first" / "sum.safetensors").write_bytes(b"damaged")
    assert sibling("again", 3.0).total == 3
    assert count.calls == 3


def test_opening_makes_a_folder_private_and_removes_partial_files(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    (folder / ".proofs.safetensors.17.partial").write_bytes(b"half")
    (folder / ".unfinished" / "original-ab").mkdir(parents=True)
    (folder / ".unfinished" / "original-ab" / ".rounds.safetensors.17.partial").write_bytes(b"half")
    with opened(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not list(folder.rglob("*.partial"))


def test_warns_if_a_folder_cannot_be_made_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change_mode = Path.chmod

    def refuse(path: Path, mode: int) -> None:
        if path == folder:
            raise PermissionError
        change_mode(path, mode)

    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    monkeypatch.setattr(Path, "chmod", refuse)
    with with_callbacks(recorded := Warnings()), Run.open(folder, AuditConfig(), console=Console(quiet=True)):
        assert "can be read by other users" in recorded.messages[0]


_HOLD = """
import fcntl, sys
with open(sys.argv[1], "r+") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_lock_holds_across_processes(tmp_path: Path) -> None:
    with opened(tmp_path / "run"):
        pass
    other = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path / "run" / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(RunError, match="Another process is using"):
        opened(tmp_path / "run")
    other.kill()
    other.communicate()
    # The lock is released when its holder is killed.
    with opened(tmp_path / "run"):
        pass


@pytest.mark.parametrize("name", ["log.txt", ".unfinished", "manifest.json", "oracle"])
def test_does_not_follow_links_in_a_run_folder(tmp_path: Path, name: str) -> None:
    with opened(tmp_path / "run"):
        pass
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "run" / name).unlink(missing_ok=True)
    (tmp_path / "run" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="is a link or a special file"):
        opened(tmp_path / "run")
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_does_not_follow_a_lock_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="can't be used"):
        opened(tmp_path / "run")
    assert not (tmp_path / "elsewhere").exists()


def test_resumes_an_older_folder_without_a_format(tmp_path: Path) -> None:
    count = Counter()
    with opened(tmp_path) as run:
        run.stage("sum", Sum, lambda _: count(3.0), key=(3,))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    del manifest["format"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with opened(tmp_path) as run:
        run.stage("sum", Sum, lambda _: count(3.0), key=(3,))
    assert count.calls == 1
    assert json.loads((tmp_path / "manifest.json").read_text())["format"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": "1"},
        {"config": {"federation": {"turns": 3}}},
        {"stages": {"sum": {"key": 3}}},
        {"threads": None},
    ],
)
def test_rejects_a_folder_of_another_version(tmp_path: Path, change: dict[str, Any]) -> None:
    with opened(tmp_path):
        pass
    manifest = json.loads((tmp_path / "manifest.json").read_text()) | change
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="resume with the version that wrote it"):
        opened(tmp_path)
    assert json.loads((tmp_path / "manifest.json").read_text()) == manifest


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user"
)
def test_rejects_a_folder_without_write_permission(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    os.seteuid(65534)
    try:
        for out in (folder, folder / "run"):
            with pytest.raises(RunError, match=r"can't be used \(Permission denied\)\. Choose another"):
                opened(out)
    finally:
        os.seteuid(0)
        folder.rmdir()


def test_repr_of_a_record_has_no_values() -> None:
    assert repr(Sum(torch.full((2, 3), 0.123))) == "<Sum total=[2, 3]>"


def test_a_refused_run_leaves_no_folder(tmp_path: Path) -> None:
    folder, mine = tmp_path / "runs" / "refused", tmp_path / "mine"
    mine.mkdir()

    def refused(place: Path, *, work: bool) -> None:
        with opened(place) as run:
            if work:
                run.stage("sum", Sum, lambda _: Sum(torch.tensor(1.0)), key=[1])
            raise RunError("refused")

    for place, work, left in ((folder, False, []), (folder, True, ["sum.safetensors"]), (mine, False, [])):
        with pytest.raises(RunError, match="refused"):
            refused(place, work=work)
        assert [path.name for path in place.glob("*.safetensors")] == left
        assert place.exists() == (bool(left) or place == mine)
    with pytest.raises(RunError, match="refused"):
        refused(folder, work=False)
    assert (folder / "sum.safetensors").is_file()


def test_a_label_distinguishes_stages_of_the_same_name(tmp_path: Path) -> None:
    with opened(tmp_path / "run") as run:
        one, other = run.labeled("one"), run.labeled("other")
        assert float(one.stage("sum", Sum, lambda _: Sum(torch.ones(())), key=(1,)).total) == 1
        assert float(other.stage("sum", Sum, lambda _: Sum(torch.zeros(())), key=(1,)).total) == 0
        run.stage("sum", Sum, lambda _: Sum(torch.ones(())), key=(1,))
        assert set(run.seconds()) == {"sum-one", "sum-other", "sum"}
        assert set(one.labeled_seconds()) == {"sum-one"}
