from pathlib import Path

import pytest
import torch
from tests.support.artifacts import Make
from tests.support.flat_oracle import small_images
from torch import nn

from palimpsest.attacks import IGF, ArchitectView, AuditorView, Knowledge, ModelsView
from palimpsest.config import build_config
from palimpsest.metrics import Scores, judge_undefended
from palimpsest.pipeline.attack import attack
from palimpsest.pipeline.stages.auditor import (
    HeldModels,
    attacker_view,
    defended_oracle,
    link_candidates,
)
from palimpsest.runs import Run


def test_an_attack_receives_only_the_models_that_it_declares(
    view: AuditorView, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = HeldModels(nn.Linear(2, 2, device="meta"), nn.Linear(2, 2), nn.Linear(2, 2))
    plain = IGF()
    assert attacker_view(plain, view, models) is view
    monkeypatch.setattr(IGF, "knowledge", AuditorView.knowledge | {Knowledge.ARCHITECTURE})
    extended = attacker_view(plain, view, models)
    assert type(extended) is ArchitectView
    assert extended.architecture is models.architecture
    assert extended.proofs is view.proofs
    assert attacker_view(plain, view, None) is view
    monkeypatch.setattr(IGF, "knowledge", ArchitectView.knowledge | {Knowledge.PARAMETERS})
    complete = attacker_view(plain, view, models)
    assert isinstance(complete, ModelsView)
    assert (complete.original, complete.unlearned) == (models.original, models.unlearned)


def test_imitates_the_configured_defenses(view: AuditorView) -> None:
    config = build_config({"data": {"name": "digits"}, "defenses": [{"name": "sign"}]})
    samples = small_images(3, seed=4)
    (answers,) = defended_oracle(config, view, "attack").differences(samples.images, samples.labels)
    (clean,) = view.oracle.differences(samples.images, samples.labels)
    assert torch.equal(answers, clean.sign())


def test_links_each_proof_to_its_candidate(view: AuditorView, run: Run) -> None:
    config = build_config({"data": {"name": "digits"}})
    candidates = small_images(60, seed=2)
    linked = link_candidates(run, config, view, candidates, key=())
    assert torch.equal(linked.scores.argmax(1), torch.arange(60))
    assert link_candidates(run, config, view, candidates, key=()) is not linked
    assert list(run.seconds()) == ["linkage"]
    reversed_candidates = candidates.subset(torch.arange(60).flip(0))
    relinked = link_candidates(run, config, view, reversed_candidates, key=())
    assert torch.equal(relinked.scores.argmax(1), torch.arange(60).flip(0))


def test_defended_proofs_are_attacked_three_times(case: Make, here: Path, pieces: Path) -> None:
    config = case(defenses=[{"name": "sign"}], truth=str(pieces / "forgotten"))
    result = attack(config, out=here / "run")
    assert set(result.metrics.attackers) == {"non-adaptive", "undefended"}
    # The undefended baseline is the attack on the proofs before the defense.
    plain = attack(case(truth=str(pieces / "forgotten")), out=here / "plain")
    baseline = result.metrics.undefended_baseline
    assert baseline.mse == pytest.approx(plain.metrics.reconstruction.mse, rel=1e-4)
    judged = judge_undefended(Scores.load(here / "run" / "scores-undefended.safetensors"))
    assert (baseline.passed, baseline.identified) == (judged.passed, judged.identified)
    page = (here / "run" / "report.html").read_text()
    assert ("says nothing about them" in page) is not judged.passed
