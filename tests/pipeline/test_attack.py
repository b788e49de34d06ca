import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from palimpsest.artifacts import CaseConfig, gather
from palimpsest.attacks import AuditorView, Reconstruction
from palimpsest.config import AuditConfig
from palimpsest.errors import (
    CheckpointError,
    ConfigurationError,
    DatasetError,
    KnowledgeError,
    OracleError,
    PalimpsestError,
    ProofError,
    RunError,
)
from palimpsest.metrics import Scores, judge_control
from palimpsest.oracles import ModelOracle
from palimpsest.pipeline import attack
from palimpsest.pipeline.results.result import AuditResult
from palimpsest.proofs import Proofs, load_proofs, save_proofs
from palimpsest.randomness import make_generator
from palimpsest.runs import Run

Make = Callable[..., CaseConfig]
NO_MODELS: dict[str, Any] = {"original": None, "unlearned": None, "model": None}
ASKED: list[int] = []
ORACLE: list[ModelOracle] = []
FAIL_AFTER = [10**9]


def images_of(result: AuditResult) -> torch.Tensor:
    return Reconstruction.load(result.folder / "reconstructions.safetensors").images


def answers(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """An oracle of one's own; it is given by name, and the models come by a side door."""
    if sum(ASKED) >= FAIL_AFTER[0]:
        raise OracleError("The line is cut.")
    ASKED.append(len(images))
    return torch.cat(list(ORACLE[0].differences(images, labels)))


@pytest.fixture
def callable_oracle(case: Make, here: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    models = gather(case(), folder=here, data_dir=None, device="cpu").models
    assert models is not None
    monkeypatch.setattr(sys.modules[__name__], "ORACLE", [ModelOracle(models.original, models.unlearned)])
    monkeypatch.setitem(sys.modules, "own_oracle", sys.modules[__name__])
    ASKED.clear()
    FAIL_AFTER[0] = 10**9
    return "own_oracle:answers"


def test_without_the_truth_it_reconstructs_and_scores_nothing(case: Make, here: Path) -> None:
    result = attack(case(), out=here / "run", command="palimpsest attack ...")
    assert images_of(result).shape == (12, 1, 8, 8)
    written = json.loads((here / "run" / "metrics.json").read_text())
    assert written == result.metrics
    assert "reconstruction" not in written
    assert "without the truth" in result.verdict
    page = (here / "run" / "report.html").read_text()
    assert "how close they are is not known" in page
    assert "MSE" not in page
    assert page.count('alt="Reconstruction of proof') == 12


def test_with_the_truth_it_is_scored_and_reported_as_an_audit_is(
    case: Make, here: Path, pieces: Path
) -> None:
    result = attack(case(truth=str(pieces / "forgotten")), out=here / "run")
    assert result.metrics["reconstruction"]["count"] == 12
    assert result.metrics["confirmation"]["statistic"]
    page = (here / "run" / "report.html").read_text()
    for words in ("Best, median, worst", "Mean image", "class2", "own_nets:Net"):
        assert words in page


def test_the_attack_is_the_one_of_an_audit(case: Make, here: Path) -> None:
    config = case()
    pieces = gather(config, folder=here, data_dir=None, device="cpu")
    view = AuditorView(
        pieces.proofs.vectors, pieces.answering.oracle, pieces.auxiliary, "cpu", config.memory_budget
    )
    expected = config.attack.components["name"](view, generator=make_generator(config.seed, "attack"))
    assert torch.equal(images_of(attack(config, out=here / "run")), expected.images)


def test_it_goes_on_where_it_stopped(case: Make, here: Path) -> None:
    first = attack(case(), out=here / "run")
    (here / "run" / "reconstructions.safetensors").unlink()
    console = Console(record=True, file=io.StringIO())
    again = attack(case(), out=here / "run", console=console)
    assert torch.equal(images_of(first), images_of(again))
    lines = dict(line.split(maxsplit=1) for line in console.export_text().splitlines() if line.strip())
    assert "kept" in lines["inverter"]
    assert "kept" not in lines["reconstructions"]


def test_another_case_in_the_same_folder_is_refused(case: Make, here: Path) -> None:
    attack(case(), out=here / "run")
    with pytest.raises(RunError, match="seed: 1234 there, 5 here"):
        attack(case(seed=5), out=here / "run")
    Run.open(here / "audit", AuditConfig(), console=Console(quiet=True)).close()
    with pytest.raises(RunError, match="another command"):
        attack(case(), out=here / "audit")


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        ({"attack": {"name": "dragd"}}, KnowledgeError, "attack from the server"),
        (NO_MODELS | {"attack": {"name": "igf-white"}}, KnowledgeError, "architecture"),
        (NO_MODELS, ConfigurationError, "Nobody answers"),
        ({"unlearned": None}, ConfigurationError, "unlearned is missing"),
        ({"model": "own_nets:Nit"}, ConfigurationError, "can't be imported"),
        ({"model": "own_nets:not_a_module"}, PalimpsestError, "int, not an nn.Module"),
        ({"model": "own_nets:broken"}, ConfigurationError, "ZeroDivisionError: by zero"),
        ({"model": "Net"}, ConfigurationError, "module:name"),
        ({"model_arguments": {"width": 5}}, CheckpointError, "0.weight"),
        ({"model_arguments": {"depth": 5}}, ConfigurationError, "model_arguments"),
        ({"image_size": 16}, PalimpsestError, r"images of shape \(1, 16, 16\)"),
        ({"mean": [0.5]}, ConfigurationError, "belong together"),
        ({"auxiliary": "nowhere/"}, DatasetError, "nowhere"),
        ({"auxiliary_split": "tset"}, DatasetError, "tset"),
        ({"oracle": {"source": "nowhere"}}, ConfigurationError, "no file or folder"),
        ({"oracle": {"source": "http://example.org"}}, ConfigurationError, "in the clear"),
        ({"oracle": {"source": "https://127.0.0.1:1"}}, ConfigurationError, "needs a token"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    case: Make,
    here: Path,
    keys: dict[str, Any],
    error: type[PalimpsestError],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PALIMPSEST_ORACLE_TOKEN", raising=False)
    with pytest.raises(error, match=words):
        attack(case(**keys), out=here / "run")


def test_proofs_of_another_model_are_refused(case: Make, here: Path) -> None:
    save_proofs(here / "others.safetensors", Proofs(torch.rand(12, 7)))
    with pytest.raises(ProofError, match="7 numbers"):
        attack(case(proofs=str(here / "others.safetensors")), out=here / "run")


def test_a_truth_of_another_count_is_refused(case: Make, here: Path, pieces: Path) -> None:
    with pytest.raises(DatasetError, match="48 images"):
        attack(case(truth=str(pieces / "images")), out=here / "run")


def test_a_function_answers_as_the_checkpoints_do(case: Make, here: Path, callable_oracle: str) -> None:
    expected = attack(case(), out=here / "models")
    result = attack(case(oracle={"source": callable_oracle}, **NO_MODELS), out=here / "own")
    assert torch.equal(images_of(result), images_of(expected))


def test_precomputed_gradients_answer_for_the_auxiliary_images_alone(
    case: Make, here: Path, pieces: Path, callable_oracle: str
) -> None:
    everything = gather(case(), folder=here, data_dir=None, device="cpu").auxiliary
    vectors = answers(everything.images, everything.labels)
    (here / "gradients").mkdir()
    save_proofs(here / "gradients" / "1.safetensors", Proofs(vectors[:20]))
    save_proofs(here / "gradients" / "2.safetensors", Proofs(vectors[20:]))
    result = attack(case(oracle={"source": "gradients"}, **NO_MODELS), out=here / "files")
    assert result.metrics["attack"]["queries"] == len(everything) == 48
    single = attack(case(attack=case().attack.model_dump() | {"queries": 1}), out=here / "models")
    assert torch.equal(images_of(result), images_of(single))
    limited = case(oracle={"source": "gradients", "query_budget": 30}, **NO_MODELS)
    assert attack(limited, out=here / "limited").metrics["attack"]["queries"] == 30


@pytest.mark.parametrize(("budget", "expected"), [(30, (30, 30)), (60, (48, 48)), (96, (48, 96))])
def test_the_attack_makes_do_with_its_budget(
    case: Make, here: Path, pieces: Path, callable_oracle: str, budget: int, expected: tuple[int, int]
) -> None:
    config = case(
        oracle={"source": callable_oracle, "query_budget": budget},
        truth=str(pieces / "forgotten"),
        **NO_MODELS,
    )
    result = attack(config, out=here / "run")
    auxiliary, queries = expected
    assert sum(ASKED) == queries <= budget
    assert result.metrics["attack"]["auxiliary_images"] == auxiliary
    assert "confirmation" not in result.metrics


def test_igf_plus_takes_its_probes_from_the_budget(case: Make, here: Path, callable_oracle: str) -> None:
    small = {"name": "igf-plus", "epochs": 1, "width": 8, "components": 4, "queries": 8}
    for budget in (100, 1000):
        ASKED.clear()
        config = case(oracle={"source": callable_oracle, "query_budget": budget}, attack=small, **NO_MODELS)
        result = attack(config, out=here / f"run{budget}")
        assert sum(ASKED) <= budget
        assert result.metrics["attack"]["queries"] <= budget
    assert result.metrics["attack"]["queries"] == 8 * 48


def test_a_run_whose_oracle_was_cut_off_asks_no_question_twice(
    case: Make, here: Path, callable_oracle: str
) -> None:
    config = case(oracle={"source": callable_oracle, "batch_size": 10, "query_budget": 96}, **NO_MODELS)
    FAIL_AFTER[0] = 60
    with pytest.raises(OracleError, match="cut"):
        attack(config, out=here / "run")
    FAIL_AFTER[0] = 10**9
    result = attack(config, out=here / "run")
    assert sum(ASKED) == 96
    ASKED.clear()
    whole = attack(config, out=here / "whole")
    assert torch.equal(images_of(result), images_of(whole))


def test_answers_kept_in_half_of_the_room_are_kept_apart(
    case: Make, here: Path, callable_oracle: str
) -> None:
    for kept_as in ("float32", "bfloat16", "bfloat16"):
        config = case(oracle={"source": callable_oracle, "query_budget": 48, "kept_as": kept_as}, **NO_MODELS)
        attack(config, out=here / "run", replace=True)
    assert sum(ASKED) == 96


def test_defended_proofs_meet_two_attackers(case: Make, here: Path, pieces: Path) -> None:
    config = case(defenses=[{"name": "sign"}], truth=str(pieces / "forgotten"))
    result = attack(config, out=here / "run")
    assert set(result.metrics["attackers"]) == {"non-adaptive", "undefended"}
    # The control is the attack on the proofs that the clients would have made without the defence.
    plain = attack(case(truth=str(pieces / "forgotten")), out=here / "plain")
    control = result.metrics["control"]
    assert control["mse"] == pytest.approx(plain.metrics["reconstruction"]["mse"], rel=1e-4)
    judged = judge_control(Scores.load(here / "run" / "scores-undefended.safetensors"))
    assert (control["passed"], control["identified"]) == (judged.passed, judged.identified)
    page = (here / "run" / "report.html").read_text()
    assert ("says nothing about them" in page) is not judged.passed


def test_defended_proofs_without_a_control_say_so(
    case: Make, here: Path, pieces: Path, callable_oracle: str
) -> None:
    oracle = {"source": callable_oracle, "query_budget": 48}
    keys = {"defenses": [{"name": "sign"}], "oracle": oracle, "truth": str(pieces / "forgotten")}
    result = attack(case(**keys, **NO_MODELS), out=here / "run")
    assert sum(ASKED) == 48
    assert result.metrics["control"] is None
    assert "says nothing about them" in (here / "run" / "report.html").read_text()


def test_proofs_of_another_request_and_copies_are_named_in_the_report(
    case: Make, here: Path, proofs: Path
) -> None:
    held = load_proofs(proofs)
    vectors = held.vectors.clone()
    vectors[7] = vectors[3]
    forged = Proofs(vectors, held.metadata | {"unlearned": "ab" * 32})
    save_proofs(here / "forged.safetensors", forged)
    attack(case(proofs=str(here / "forged.safetensors")), out=here / "run")
    page = (here / "run" / "report.html").read_text()
    assert "name another unlearned model" in page
    assert "name another original model" not in page
    assert "Proofs 3, 7 are one and the same" in page
    attack(case(), out=here / "honest")
    assert "one and the same" not in (here / "honest" / "report.html").read_text()


def test_a_case_has_the_certainty_of_an_audit(case: Make, here: Path, pieces: Path) -> None:
    metrics = attack(case(truth=str(pieces / "forgotten")), out=here / "run").metrics
    assert set(metrics["rates"]) == {"identification_top1", "identification_top5", "accepted"}
    for rate in metrics["rates"].values():
        assert rate["low"] <= rate["value"] <= rate["high"]
        assert rate["chance"] > 0
    assert 0 < metrics["belonging"]["p_value"] <= 1
    assert "Permutation test" in (here / "run" / "report.html").read_text()
