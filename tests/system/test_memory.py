import json
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz.workloads import CONFIG

from palimpsest.errors import ResourceError
from palimpsest.models import read_checkpoint
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
def test_parses_and_formats_amounts_of_memory(text: object, count: int) -> None:
    assert parse_bytes(text) == count
    assert parse_bytes(format_bytes(count)) == count


def test_rejects_an_amount_with_too_many_digits() -> None:
    with pytest.raises(ValueError, match="not an amount of memory"):
        parse_bytes("9" * 400 + "GiB")


def test_rejects_work_that_does_not_fit_into_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("palimpsest.system.memory.available_memory", lambda: 2**30)
    require_memory("The proofs", 2**30, remedy="forget fewer")
    with pytest.raises(
        ResourceError, match=r"The proofs need 1\.5 GiB .* but only 1\.0 GiB are free: forget fewer\."
    ):
        require_memory("The proofs", 3 * 2**29, remedy="forget fewer")
    monkeypatch.setattr("palimpsest.system.memory.available_memory", lambda: None)
    require_memory("The proofs", 2**60, remedy="forget fewer")


def test_free_memory_of_system_and_container(tmp_path: Path) -> None:
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


def write_sparse(path: Path, count: int, dimension: int) -> Path:
    """Write a safetensors file of any size as a sparse file, which takes almost no disk space."""
    size = 4 * count * dimension
    header = json.dumps({"vectors": {"dtype": "F32", "shape": [count, dimension], "data_offsets": [0, size]}})
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    with path.open("r+b") as file:
        file.truncate(8 + len(header) + size)
    return path


@pytest.mark.parametrize("read", [load_proofs, read_tensors, read_checkpoint])
def test_rejects_a_file_larger_than_memory_before_reading_it(
    read: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_sparse(tmp_path / "huge.safetensors", 2**10, 2**18)
    monkeypatch.setattr("palimpsest.system.memory.available_memory", lambda: 2**28)
    with pytest.raises(ResourceError, match=r"contents of .*huge.safetensors need 1\.0 GiB"):
        read(path)


ON_GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tunes glibc")


def run_program(program: str) -> list[str]:
    """Run a program in a new process, and return the lines that it prints."""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return result.stdout.splitlines()


@ON_GLIBC
def test_freed_memory_is_reused_until_it_is_given_back() -> None:
    program = """
import resource, torch
from pathlib import Path
from palimpsest.system.memory import give_back_freed_memory, keep_freed_memory
keep_freed_memory()
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range(30):
    [torch.ones(2**19) for _ in range(30)]
new_pages, start = faults() - before, resident()
tensors = [torch.ones(2**21) for _ in range(100)]
del tensors
give_back_freed_memory()
print(new_pages * resource.getpagesize(), resident() - start)
"""
    requested, retained = map(int, run_program(program)[-1].split())
    # All thirty rounds reuse the memory of the first one. By default glibc requests it again at least once.
    assert requested < 1.5 * 30 * 2**21
    assert retained < 100 * 2**20


# An audit hook reports each function that ctypes looks up in a library.
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
def test_the_library_does_not_change_the_allocator(tmp_path: Path) -> None:
    work = f"CONFIG, FOLDER = {CONFIG!r}, {str(tmp_path / 'run')!r}" + LIBRARY
    assert run_program(RECORDED.format(work=work))[-1] == "[]"
    assert (tmp_path / "run" / "metrics.json").is_file()


@ON_GLIBC
def test_the_command_line_tunes_the_allocator() -> None:
    assert run_program(RECORDED.format(work=COMMAND_LINE))[-1] == "['mallopt', 'mallopt', 'malloc_trim']"
