from pathlib import Path
from typing import Any

import pytest
from tests.support.lenet_case import ATTACK, KEYS

import palimpsest as pp
from palimpsest.api.attack import findings


def test_a_case_is_examined(lenet_case: dict[str, Any], lenet_proofs: Path, tmp_path: Path) -> None:
    keys = {key: lenet_case[key] for key in KEYS}
    examined = pp.doctor(proofs=lenet_proofs, **keys, truth=lenet_case["forgotten"], attack=ATTACK)
    assert examined.ok
    assert len(examined.to_frame()) == len(examined) == examined._repr_html_().count("<tr>") - 1
    assert not pp.doctor(proofs=tmp_path / "nothing", **keys).ok


def test_a_case_is_attacked_and_goes_on_with_the_same_call(lenet_attack: pp.AuditResult) -> None:
    assert "nothing is scored" in lenet_attack.verdict
    assert lenet_attack.to_frame().empty
    assert len(lenet_attack.per_image()) == 8
    case = pp.read_artifacts_config(lenet_attack.folder / "config.yaml")
    assert pp.attack(case, out=lenet_attack.folder).metrics == lenet_attack.metrics
    with pytest.raises(pp.PalimpsestError, match="Keys go with a file or alone"):
        pp.attack(case, seed=1)


def test_a_case_is_read_from_its_file_and_keys_win(lenet_attack: pp.AuditResult, tmp_path: Path) -> None:
    file = lenet_attack.folder / "config.yaml"
    assert all(finding.level != "error" for finding in findings(file))
    missing = tmp_path / "missing.safetensors"
    assert any("missing.safetensors" in finding.message for finding in findings(str(file), proofs=missing))


def test_a_case_that_lacks_a_key_is_refused() -> None:
    with pytest.raises(pp.PalimpsestError, match="auxiliary is missing"):
        pp.doctor(model="lenet")
