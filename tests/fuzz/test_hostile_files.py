"""Guarantees of the readers of untrusted files; `make fuzz` tests a hundred thousand files."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.fuzzing import fuzz, hostile_files
from fuzz.parsers import PARSERS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make an empty folder, in memory if possible, because the tests write thousands of files."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as path:
        yield Path(path)


CORPUS = sorted((Path(__file__).parent / "corpus").glob("*/*"))
# These files may be read: they are valid, or their damage is in a part that is not used.
READABLE = {
    "proof/denormal.safetensors",
    "configuration/zero-byte.yaml",
    "page/two-channels.safetensors",
}
INPUTS = {"folder": 400, "page": 200}


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_rejects_known_hostile_files(path: Path, folder: Path) -> None:
    outcome = fuzz(PARSERS[path.parent.name], iter([path.read_bytes()]), folder)
    assert outcome.violations == []
    assert outcome.rejected == (f"{path.parent.name}/{path.name}" not in READABLE)


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_reads_or_rejects_damaged_files(name: str, folder: Path) -> None:
    inputs = INPUTS.get(name, 1500)
    outcome = fuzz(PARSERS[name], hostile_files(PARSERS[name], folder, inputs=inputs, seed=1), folder)
    assert outcome.inputs == inputs
    assert outcome.violations == []
    # Harmless damage would test nothing, and damage that is always fatal would test only the first check.
    assert 0.3 * inputs < outcome.rejected < inputs


@pytest.mark.parametrize("name", sorted(PARSERS))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_reads_or_rejects_arbitrary_bytes(name: str, content: bytes, folder: Path) -> None:
    assert fuzz(PARSERS[name], iter([content]), folder).violations == []


def test_damage_is_reproducible(folder: Path) -> None:
    contents = []
    for name in "ab":
        (folder / name).mkdir()
        contents.append(list(hostile_files(PARSERS["configuration"], folder / name, inputs=50, seed=3)))
    assert contents[0] == contents[1]


def test_reports_violations(folder: Path) -> None:
    def wrong(path: Path) -> None:
        raise ZeroDivisionError

    violations = fuzz(PARSERS["proof"].__class__(lambda _: [], wrong, ".x"), iter([b"1"]), folder).violations
    assert violations[0][0] == b"1"
    assert "ZeroDivisionError" in violations[0][1]
