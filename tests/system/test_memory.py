import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
import torch
from fuzz.fuzzing import resident_memory
from fuzz.workloads import config
from PIL import Image

from palimpsest.datasets.decode import decode_images
from palimpsest.errors import ResourceError
from palimpsest.gradients import gradient_differences, parameter_count
from palimpsest.models import read_state_dict
from palimpsest.pipeline.audit import audit
from palimpsest.pipeline.stages.footprint import evidence_rows, proofs_footprint
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


def test_an_audit_that_would_not_fit_is_refused_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palimpsest.system.memory.available_memory", lambda: 2**20)
    with pytest.raises(ResourceError, match=r"proofs of .*unlearning\.count"):
        audit(config(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_images_that_would_not_fit_are_refused_while_they_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palimpsest.system.memory.available_memory", lambda: 2**28)
    buffer = BytesIO()
    Image.new("RGB", (1000, 1000)).save(buffer, "PNG")
    seen = 0

    def endless() -> Iterator[tuple[str, bytes]]:
        nonlocal seen
        while True:
            seen += 1
            yield f"image {seen}", buffer.getvalue()

    with pytest.raises(ResourceError, match="image_size"):
        decode_images(endless())
    assert seen < 50


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


@pytest.mark.parametrize(
    ("dimension", "expected"), [(1000, 256), (269_722, 256), (1_200_000, 63), (9_500_000, 8), (11_200_000, 8)]
)
def test_an_auditors_evidence_stays_within_half_of_its_memory_where_that_is_possible(
    dimension: int, expected: int
) -> None:
    own, challenges = evidence_rows(dimension, memory_budget=2**32)
    assert (own, challenges) == (2 * expected, expected)
    # 8 challenges are the fewest, also where they need more.
    assert (4 * dimension * (own + 5 * challenges) <= 2**31) is (dimension < 10_000_000)


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="this system does not tell peaks of memory"
)
def test_what_proofs_are_said_to_take_is_what_they_take() -> None:
    before, after = (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 400)) for _ in range(2))
    images, labels = torch.rand(150, 1, 28, 28), torch.zeros(150, dtype=torch.int64)
    gradient_differences(before, after, images[:20], labels[:20])  # what is taken once and for all
    held = resident_memory("VmRSS", restart=True)
    gradient_differences(before, after, images, labels, memory_budget=2**26)
    grown = resident_memory("VmHWM") - held
    said = proofs_footprint(150, parameter_count(before))
    assert 0.4 * said < grown < 1.6 * said


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc")
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
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    asked, kept = map(int, done.stdout.split())
    # What the first of the thirty rounds takes serves all; without help it is asked for again at least once.
    assert asked < 1.5 * 30 * 2**21
    assert kept < 100 * 2**20
