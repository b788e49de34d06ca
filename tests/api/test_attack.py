from pathlib import Path
from typing import Any

import pytest
from tests.support.lenet_case import ATTACK, KEYS

import palimpsest as pp
from palimpsest.api.attack import findings


def test_doctor_checks_the_artifacts(lenet_case: dict[str, Any], lenet_proofs: Path, tmp_path: Path) -> None:
    keys = {key: lenet_case[key] for key in KEYS}
    examination = pp.doctor(proofs=lenet_proofs, **keys, truth=lenet_case["forgotten"], attack=ATTACK)
    assert examination.ok
    assert len(examination.to_frame()) == len(examination) == examination._repr_html_().count("<tr>") - 1
    assert not pp.doctor(proofs=tmp_path / "nothing", **keys).ok


def test_an_attack_resumes_with_the_same_call(lenet_attack: pp.AuditResult) -> None:
    assert "no reconstruction was scored" in lenet_attack.verdict
    assert lenet_attack.to_frame().empty
    assert len(lenet_attack.per_image()) == 8
    config = pp.read_artifacts_config(lenet_attack.folder / "config.yaml")
    assert pp.attack(config, out=lenet_attack.folder).metrics == lenet_attack.metrics
    with pytest.raises(pp.PalimpsestError, match="can't be combined with an ArtifactsConfig"):
        pp.attack(config, seed=1)


def test_keys_override_the_file(lenet_attack: pp.AuditResult, tmp_path: Path) -> None:
    file = lenet_attack.folder / "config.yaml"
    assert all(finding.level != "error" for finding in findings(file))
    missing = tmp_path / "missing.safetensors"
    assert any("missing.safetensors" in finding.message for finding in findings(str(file), proofs=missing))


def test_names_a_missing_key() -> None:
    with pytest.raises(pp.PalimpsestError, match="auxiliary is missing"):
        pp.doctor(model="lenet")
