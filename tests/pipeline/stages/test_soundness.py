"""Verifiers against forgers, with known detectable and undetectable forgeries."""

from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from palimpsest.attacks import AuditorView
from palimpsest.config import AuditConfig, build_config
from palimpsest.pipeline.stages.soundness import Soundness, gather_evidence, measure_soundness
from palimpsest.proofs import FORGERS, RECOGNIZED
from palimpsest.registry import VERIFIERS
from palimpsest.runs import Run


def measured(view: AuditorView, folder: Path, **settings: Any) -> Soundness:
    config = build_config({"data": {"name": "digits"}, **settings})
    with Run.open(folder, config, console=Console(quiet=True)) as run:
        return measure_soundness(run, config, view, key=())


def test_each_verifier_detects_the_expected_forgeries(view: AuditorView, tmp_path: Path) -> None:
    areas = {
        name: {forger: area[0] for forger, area in row.items()}
        for name, row in measured(view, tmp_path / "run").areas.items()
    }
    assert set(areas) == {name for name, _ in VERIFIERS}
    assert all(set(row) == set(FORGERS) for row in areas.values())
    # The papers' norm check considers the shortest vector the most honest one.
    assert areas["norm"]["zeros"] == areas["norm"]["small random vectors"] == 0
    assert areas["range"]["zeros"] == areas["range"]["small random vectors"] == 1
    usual, replayed = "random vectors of usual norm", "replayed proofs of other samples"
    assert 0.3 < areas["norm"][usual] < 0.7
    assert 0.3 < areas["range"][usual] < 0.7
    assert areas["subspace"][usual] == areas["subspace"]["zeros"] == 1
    # The same vectors in another order have the same norms and lie in the same span.
    for blind in ("norm", "range", "subspace"):
        assert areas[blind][replayed] == pytest.approx(0.5, abs=0.02)  # Rounding breaks ties.
    assert areas["spot-check"][replayed] == 1
    assert areas["spot-check"][RECOGNIZED] == pytest.approx(0.5)


def test_the_worst_area_excludes_the_forger_that_recognizes_challenges() -> None:
    areas = {
        "spot-check": {"zeros": [0.9, 0.8, 1.0], "replayed": [0.7, 0.6, 0.8], RECOGNIZED: [0.5, 0.4, 0.6]}
    }
    assert Soundness(areas, {"spot-check": ""}).worst == {"spot-check": [0.7, 0.6, 0.8]}


def test_noise_blinds_the_spot_check(view: AuditorView, tmp_path: Path) -> None:
    noisy = [{"name": "gaussian", "sigma": 100.0}]
    generator = torch.Generator().manual_seed(8)
    issued = view.proofs + 100 * torch.randn(view.proofs.shape, generator=generator)
    noisy_view = AuditorView(issued, view.oracle, view.auxiliary, "cpu", 2**30)
    clear = measured(view, tmp_path / "clear").areas["spot-check"]["replayed proofs of other samples"]
    blurred = measured(noisy_view, tmp_path / "dim", defenses=noisy).areas["spot-check"][
        "replayed proofs of other samples"
    ]
    assert clear[0] == 1
    assert blurred[1] < 0.6


def test_challenges_and_imitated_samples_are_disjoint(view: AuditorView) -> None:
    config: AuditConfig = build_config({"data": {"name": "digits"}})
    evidence, challenges = gather_evidence(config, view)
    assert len(evidence.answers) == len(evidence.imitations) == len(evidence.trials) == len(challenges) == 80
    assert len(evidence.reference) == 160
    assert torch.cdist(evidence.reference, evidence.answers).min() > 0.1
    again, _ = gather_evidence(config, view)
    assert torch.equal(again.reference, evidence.reference)
