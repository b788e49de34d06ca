from pathlib import Path

import pytest
import torch
from tests.support.artifacts import Make
from tests.support.flat_oracle import small_images
from torch import nn

from palimpsest.attacks import IGF, ArchitectView, AuditorView, Knowledge
from palimpsest.config import build_config
from palimpsest.metrics import Scores, judge_undefended
from palimpsest.pipeline.attack import attack
from palimpsest.pipeline.stages.auditor import attacker_view, defended_oracle, link_candidates
from palimpsest.runs import Run


def test_the_layers_are_handed_over_only_to_an_attack_that_declares_them(
    view: AuditorView, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers, plain = nn.Linear(2, 2, device="meta"), IGF()
    assert attacker_view(plain, view, architecture=layers) is view
    monkeypatch.setattr(IGF, "knowledge", IGF.knowledge | {Knowledge.ARCHITECTURE})
    shown = attacker_view(plain, view, architecture=layers)
    assert isinstance(shown, ArchitectView)
    assert shown.architecture is layers
    assert shown.proofs is view.proofs
    assert attacker_view(plain, view, architecture=None) is view


def test_the_imitated_defenses_are_the_configurations(view: AuditorView) -> None:
    config = build_config({"data": {"name": "digits"}, "defenses": [{"name": "sign"}]})
    samples = small_images(3, seed=4)
    (answers,) = defended_oracle(config, view, "attack").differences(samples.images, samples.labels)
    (clean,) = view.oracle.differences(samples.images, samples.labels)
    assert torch.equal(answers, clean.sign())


def test_each_proof_is_linked_to_its_candidate_in_a_stage_of_its_own(view: AuditorView, run: Run) -> None:
    config = build_config({"data": {"name": "digits"}})
    candidates = small_images(60, seed=2)
    linked = link_candidates(run, config, view, candidates, key=())
    assert torch.equal(linked.scores.argmax(1), torch.arange(60))
    assert link_candidates(run, config, view, candidates, key=()) is not linked
    assert list(run.seconds()) == ["linkage"]
    swapped = candidates.subset(torch.arange(60).flip(0))
    moved = link_candidates(run, config, view, swapped, key=())
    assert torch.equal(moved.scores.argmax(1), torch.arange(60).flip(0))


def test_defended_proofs_meet_two_attackers(case: Make, here: Path, pieces: Path) -> None:
    config = case(defenses=[{"name": "sign"}], truth=str(pieces / "forgotten"))
    result = attack(config, out=here / "run")
    assert set(result.metrics.attackers) == {"non-adaptive", "undefended"}
    # The control is the attack on the proofs that the clients would have made without the defense.
    plain = attack(case(truth=str(pieces / "forgotten")), out=here / "plain")
    control = result.metrics.undefended_baseline
    assert control.mse == pytest.approx(plain.metrics.reconstruction.mse, rel=1e-4)
    judged = judge_undefended(Scores.load(here / "run" / "scores-undefended.safetensors"))
    assert (control.passed, control.identified) == (judged.passed, judged.identified)
    page = (here / "run" / "report.html").read_text()
    assert ("says nothing about them" in page) is not judged.passed
