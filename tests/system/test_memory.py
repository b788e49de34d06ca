import json
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz.workloads import CONFIG

from palimpsest.errors import ResourceError
from palimpsest.models import read_state_dict
from palimpsest.proofs import load_proofs
from palimpsest.storage import read_tensors
from palimpsest.system.memory import (
    _group_memory,
    available_memory,
    format_bytes,
    parse_bytes,
    require_memory,
)


@pytest.mark.parametrize(
    ("text", "count"), [("4GiB", 2**32), ("500 MB", 5 * 10**8), (2**30, 2**30), ("1.5GiB", 3 * 2**29)]
)
def test_amounts_of_memory(text: object, count: int) -> None:
    assert parse_bytes(text) == count
    assert parse_bytes(format_bytes(count)) == count


def test_an_amount_of_too_many_digits_is_none() -> None:
    with pytest.raises(ValueError, match="not an amount of memory"):
        parse_bytes("9" * 400 + "GiB")


def test_work_that_does_not_fit_is_refused_with_both_amounts_and_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("palimpsest.system.memory.available_memory", lambda: 2**30)
    require_memory("The proofs", 2**30, remedy="forget fewer")
    with pytest.raises(
        ResourceError, match=r"The proofs need 1\.5 GiB .* and 1\.0 GiB are free: forget fewer\."
    ):
        require_memory("The proofs", 3 * 2**29, remedy="forget fewer")
    monkeypatch.setattr("palimpsest.system.memory.available_memory", lambda: None)
    require_memory("The proofs", 2**60, remedy="forget fewer")


def test_what_is_free_is_what_the_system_and_the_container_leave(tmp_path: Path) -> None:
    free = available_memory()
    if sys.platform == "linux":
        assert free is not None
        assert 2**20 < free < 2**50
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 100\n")
    assert _group_memory(tmp_path) == 400
    (tmp_path / "memory.max").write_text("max\n")
    assert _group_memory(tmp_path) is None
    assert _group_memory(tmp_path / "nothing") is None


def with_holes(path: Path, count: int, dimension: int) -> Path:
    """A file of safetensors of any size that takes next to nothing on the disk."""
    size = 4 * count * dimension
    header = json.dumps({"vectors": {"dtype": "F32", "shape": [count, dimension], "data_offsets": [0, size]}})
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    with path.open("r+b") as file:
        file.truncate(8 + len(header) + size)
    return path


@pytest.mark.parametrize("read", [load_proofs, read_tensors, read_state_dict])
def test_a_file_that_is_larger_than_the_memory_is_refused_before_it_is_read(
    read: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = with_holes(tmp_path / "huge.safetensors", 2**10, 2**18)
    monkeypatch.setattr("palimpsest.system.memory.available_memory", lambda: 2**28)
    with pytest.raises(ResourceError, match=r"contents of .*huge.safetensors need 1\.0 GiB"):
        read(path)


ON_GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tunes glibc")


def printed(program: str) -> list[str]:
    """The lines that a program prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@ON_GLIBC
def test_freed_memory_is_used_again_until_it_is_given_back() -> None:
    program = """
import resource, torch
from pathlib import Path
from palimpsest.system.memory import give_back_freed_memory, keep_freed_memory
keep_freed_memory()
held = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range(30):
    [torch.ones(2**19) for _ in range(30)]
asked, start = faults() - before, held()
kept = [torch.ones(2**21) for _ in range(100)]
del kept
give_back_freed_memory()
print(asked * resource.getpagesize(), held() - start)
"""
    asked, kept = map(int, printed(program)[-1].split())
    # The memory of the first round serves all thirty; by default glibc asks for it again at least once.
    assert asked < 1.5 * 30 * 2**21
    assert kept < 100 * 2**20


# Python reports each function that ctypes looks up in a library.
RECORDED = """
import contextlib, sys
looked_up = []
sys.addaudithook(lambda event, arguments: looked_up.append(arguments[1]) if event == "ctypes.dlsym" else None)
{work}
print([name for name in looked_up if name in ("mallopt", "malloc_trim")])
"""
LIBRARY = """
import torch
import palimpsest as pp
from palimpsest.system.memory import give_back_freed_memory
before, after = (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)) for _ in range(2))
images, labels = torch.rand(20, 1, 8, 8), torch.arange(20) % 10
pp.per_sample_gradients(before, images, labels)
vectors = pp.gradient_differences(before, after, images, labels)
pp.fit_projection(vectors, generator=torch.Generator())
pp.audit("digits", CONFIG, out=FOLDER, quiet=True)
give_back_freed_memory()
"""
COMMAND_LINE = """
from palimpsest.cli.main import main
with contextlib.suppress(SystemExit):
    main(["presets"])
from palimpsest.system.memory import give_back_freed_memory
give_back_freed_memory()
"""


@ON_GLIBC
def test_the_library_leaves_the_allocator_of_its_host_alone(tmp_path: Path) -> None:
    work = f"CONFIG, FOLDER = {CONFIG!r}, {str(tmp_path / 'run')!r}" + LIBRARY
    assert printed(RECORDED.format(work=work))[-1] == "[]"
    assert (tmp_path / "run" / "metrics.json").is_file()


@ON_GLIBC
def test_the_command_line_tunes_the_allocator_of_its_own_process() -> None:
    assert printed(RECORDED.format(work=COMMAND_LINE))[-1] == "['mallopt', 'mallopt', 'malloc_trim']"
