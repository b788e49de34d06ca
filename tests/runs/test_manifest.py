import json
from pathlib import Path
from typing import Any

import pytest

from palimpsest.config import AuditConfig, build_config
from palimpsest.errors import RunError
from palimpsest.runs import MANIFEST, read_manifest
from palimpsest.runs.manifest import FORMAT, changed_keys, finished_stage
from palimpsest.storage import file_hash


def manifest(**changes: Any) -> dict[str, Any]:
    stage = {"key": "k", "inputs": [], "sha256": "s", "bytes": 1, "seconds": 0.5, "peak_memory_mib": 1}
    return {
        "format": FORMAT,
        "kind": "AuditConfig",
        "config": build_config({"data": {"name": "digits"}}).model_dump(mode="json"),
        "versions": {},
        "threads": 1,
        "stages": {"proofs": stage},
    } | changes


def write(folder: Path, tree: Any) -> Path:
    (folder / MANIFEST).write_text(json.dumps(tree), encoding="utf-8")
    return folder


def test_reads_a_manifest(tmp_path: Path) -> None:
    assert read_manifest(write(tmp_path, manifest()), AuditConfig) == manifest()


def test_older_manifest_without_format_and_kind_is_of_an_audit(tmp_path: Path) -> None:
    older = {key: value for key, value in manifest().items() if key not in ("format", "kind")}
    assert read_manifest(write(tmp_path, older), AuditConfig) == older


@pytest.mark.parametrize("names", [[], ["config.yaml"], [".lock"]])
def test_folder_without_a_run_has_no_manifest(names: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert read_manifest(tmp_path) is None


def test_rejects_a_folder_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunError, match=r"not empty and holds no run \(found thesis\.tex"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": FORMAT + 1}, "its format is"),
        ({"threads": "two"}, "threads"),
        ({"stages": {"proofs": {}}}, "key"),
        ({"versions": None}, "versions"),
        ({"config": {"data": {"name": 7}}}, "data"),
        ({"kind": "Sweep"}, "another command"),
    ],
)
def test_rejects_invalid_manifests(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=message):
        read_manifest(write(tmp_path, manifest(**changes)), AuditConfig)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "Infinity", "NaN"])
def test_rejects_numbers_that_are_not_finite(number: str, tmp_path: Path) -> None:
    write(tmp_path, manifest())
    text = (tmp_path / MANIFEST).read_text(encoding="utf-8").replace("0.5", number)
    (tmp_path / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match="not a finite number"):
        read_manifest(tmp_path, AuditConfig)


def test_finished_stage_needs_its_key_and_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "proofs.safetensors"
    path.write_bytes(b"all of it")
    held: Any = manifest()
    held["stages"]["proofs"]["sha256"] = file_hash(path)
    assert finished_stage(tmp_path, held, "proofs", "k") == held["stages"]["proofs"]
    assert finished_stage(tmp_path, held, "proofs", "other") is None
    assert finished_stage(tmp_path, held, "scores", "k") is None
    path.write_bytes(b"all of i")
    assert finished_stage(tmp_path, held, "proofs", "k") is None
    assert finished_stage(tmp_path, None, "proofs", "k") is None


def test_changed_keys_show_both_values() -> None:
    held: Any = manifest()
    same, other = (
        build_config({"data": {"name": "digits"}}),
        build_config({"data": {"name": "digits"}, "seed": 7}),
    )
    assert changed_keys(held, same) == []
    assert changed_keys(held, other) == ["seed: 1234 in the folder, 7 now"]
    assert changed_keys({**held, "stages": {}}, other) == []
    held["config"]["seed"] = int("3" * 1000)
    (message,) = changed_keys(held, same)
    assert len(message) < 150
    assert changed_keys(None, other) == []
