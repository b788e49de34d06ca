"""Files that strangers made: each reader keeps its promises; `make fuzz` asks a hundred thousand times."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.fuzzing import fuzz, hostile_files
from fuzz.parsers import PARSERS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def room() -> Iterator[Path]:
    """An empty folder, in memory where there is such a place: thousands of files are written there."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


CORPUS = sorted((Path(__file__).parent / "corpus").glob("*/*"))
# What may be read all the same: all of it is valid, or its harm lies in what is not looked at.
READ = {
    "proof/denormal.safetensors",
    "configuration/zero-byte.yaml",
    "page/two-channels.safetensors",
}
INPUTS = {"folder": 400, "page": 200}


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_known_hostile_file_is_refused(path: Path, room: Path) -> None:
    outcome = fuzz(PARSERS[path.parent.name], iter([path.read_bytes()]), room)
    assert outcome.broken == []
    assert outcome.refused == (f"{path.parent.name}/{path.name}" not in READ)


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_damaged_files_are_read_or_refused(name: str, room: Path) -> None:
    inputs = INPUTS.get(name, 1500)
    outcome = fuzz(PARSERS[name], hostile_files(PARSERS[name], room, inputs=inputs, seed=1), room)
    assert outcome.inputs == inputs
    assert outcome.broken == []
    # Damage that damages nothing would test nothing, and damage that always destroys would stop at the first check.
    assert 0.3 * inputs < outcome.refused < inputs


@pytest.mark.parametrize("name", sorted(PARSERS))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(name: str, content: bytes, room: Path) -> None:
    assert fuzz(PARSERS[name], iter([content]), room).broken == []


def test_the_same_seed_damages_alike(room: Path) -> None:
    contents = []
    for name in "ab":
        (room / name).mkdir()
        contents.append(list(hostile_files(PARSERS["configuration"], room / name, inputs=50, seed=3)))
    assert contents[0] == contents[1]


def test_what_breaks_a_promise_is_told(room: Path) -> None:
    def wrong(path: Path) -> None:
        raise ZeroDivisionError

    broken = fuzz(PARSERS["proof"].__class__(lambda _: [], wrong, ".x"), iter([b"1"]), room).broken
    assert broken[0][0] == b"1"
    assert "ZeroDivisionError" in broken[0][1]
