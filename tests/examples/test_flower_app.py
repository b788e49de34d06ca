"""The Flower app in Flower's simulation, followed by the auditor's commands, as in the README."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.environments import Environment

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest-audit[flower]'")
pytest.importorskip("ray", reason="Flower's simulation needs Ray: pip install 'palimpsest-audit[flower]'")
EXAMPLE = Path(__file__).parents[2] / "examples" / "flower-app"
SMALL = "--attack.beta 0 --attack.queries 1 --attack.epochs 2 --attack.width 16 --scoring.bootstrap 20"


def test_the_readme_commands_audit_the_app(
    tmp_path: Path, installed: Callable[..., Environment], readme: Callable[[str], list[str]]
) -> None:
    folder = tmp_path / "app"
    shutil.copytree(EXAMPLE, folder)
    install, simulate, auditor, attack = readme("flower-app")
    assert install == "pip install '../..[flower]'"
    shell = installed("palimpsest-audit[flower]").run
    shell(simulate, folder)
    shell(auditor, folder)
    deliveries = json.loads((folder / "audit" / "deliveries.json").read_text())
    assert len(deliveries["instructed"]) == 2
    assert len(deliveries["owners"]) == 30
    assert deliveries["faults"] == {}
    doctor = attack.partition(" --attack.name")[0].replace("palimpsest attack", "palimpsest doctor")
    output = " ".join(shell(doctor, folder).stdout.split())
    assert "The proofs are the true images' gradient differences" in output
    shell(attack, folder, extra=SMALL)
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert metrics["reconstruction"]["count"] == 30
    assert metrics["linkage"]["identified"] > 0.9


def test_auditing_adds_two_lines() -> None:
    for name in ("client", "server"):
        lines = (EXAMPLE / "app" / f"{name}.py").read_text().splitlines()
        added = [line for line in lines if "# audited" in line]
        assert len(added) == 1
        assert (
            sum("palimpsest" in line for line in lines if not line.startswith("from palimpsest.flower")) == 0
        )
