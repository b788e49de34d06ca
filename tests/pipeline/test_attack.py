import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.support.artifacts import NO_MODELS, Make, load
from tests.support.counting_oracle import CountingOracle
from tests.support.flat_oracle import FlatOracle, small_images
from tests.support.warnings import Warnings

from palimpsest.attacks import AuditorView, Reconstruction
from palimpsest.config import AuditConfig
from palimpsest.errors import KnowledgeError, RunError
from palimpsest.pipeline.attack import attack, can_link
from palimpsest.pipeline.results.result import AuditResult
from palimpsest.progress import with_callbacks
from palimpsest.randomness import make_generator
from palimpsest.runs import Run


def images_of(result: AuditResult) -> torch.Tensor:
    return Reconstruction.load(result.folder / "reconstructions.safetensors").images


def test_without_the_truth_nothing_is_scored(case: Make, here: Path) -> None:
    result = attack(case(), out=here / "run", command="palimpsest attack ...")
    assert images_of(result).shape == (12, 1, 8, 8)
    written = json.loads((here / "run" / "metrics.json").read_text())
    assert written == result.metrics.tree()
    assert "reconstruction" not in written
    assert "The forgotten samples are unknown" in result.verdict
    page = (here / "run" / "report.html").read_text()
    assert "A reconstruction that looks realistic may be invented" in page
    assert "MSE" not in page
    assert page.count('alt="Reconstruction of proof') == 12


def test_with_the_truth_scores_are_reported_as_in_an_audit(case: Make, here: Path, pieces: Path) -> None:
    result = attack(case(truth=str(pieces / "forgotten")), out=here / "run")
    assert result.metrics.reconstruction.count == 12
    assert result.metrics.linkage.statistic
    page = (here / "run" / "report.html").read_text()
    for words in ("Most and least exposed", "Mean image", "class2", "own_nets:Net"):
        assert words in page


def test_reconstructs_the_same_as_the_attack_itself(case: Make, here: Path) -> None:
    config = case()
    artifacts = load(config, here)
    view = AuditorView(
        artifacts.proofs.vectors,
        artifacts.oracle_source.oracle,
        artifacts.auxiliary,
        "cpu",
        config.memory_budget,
    )
    expected = config.attack.build()(view, generator=make_generator(config.seed, "attack"))
    assert torch.equal(images_of(attack(config, out=here / "run")), expected.images)


def test_resumes_after_the_last_finished_stage(case: Make, here: Path) -> None:
    first = attack(case(), out=here / "run")
    (here / "run" / "reconstructions.safetensors").unlink()
    console = Console(record=True, file=io.StringIO())
    again = attack(case(), out=here / "run", console=console)
    assert torch.equal(images_of(first), images_of(again))
    lines = dict(line.split(maxsplit=1) for line in console.export_text().splitlines() if line.strip())
    assert "kept" in lines["inverter"]
    assert "kept" not in lines["reconstructions"]


def test_rejects_the_folder_of_another_configuration(case: Make, here: Path) -> None:
    attack(case(), out=here / "run")
    with pytest.raises(RunError, match="seed: 1234 in the folder, 5 now"):
        attack(case(seed=5), out=here / "run")
    Run.open(here / "audit", AuditConfig(), console=Console(quiet=True)).close()
    with pytest.raises(RunError, match="another command"):
        attack(case(), out=here / "audit")


@pytest.mark.parametrize(("budget", "expected"), [(30, (30, 30)), (60, (48, 48)), (96, (48, 96))])
def test_stays_within_the_query_budget(
    case: Make,
    here: Path,
    pieces: Path,
    counting_oracle: CountingOracle,
    budget: int,
    expected: tuple[int, int],
) -> None:
    config = case(
        oracle={"source": counting_oracle.source, "query_budget": budget},
        truth=str(pieces / "forgotten"),
        **NO_MODELS,
    )
    result = attack(config, out=here / "run")
    auxiliary, queries = expected
    assert sum(counting_oracle.asked) == queries <= budget
    assert result.metrics.attack["auxiliary_images"] == auxiliary
    assert result.metrics.linkage is None


def test_probes_count_towards_the_query_budget(
    case: Make, here: Path, counting_oracle: CountingOracle
) -> None:
    small = {"name": "igf-plus", "epochs": 1, "width": 8, "components": 4, "queries": 8}
    for budget in (100, 1000):
        counting_oracle.asked.clear()
        config = case(
            oracle={"source": counting_oracle.source, "query_budget": budget}, attack=small, **NO_MODELS
        )
        result = attack(config, out=here / f"run{budget}")
        assert sum(counting_oracle.asked) <= budget
        assert result.metrics.attack["queries"] <= budget
    # Of 48 auxiliary images, four are kept aside for the positive control.
    assert result.metrics.attack["queries"] == 8 * 44


def test_rejects_an_unsuitable_attack_before_it_creates_the_folder(case: Make, here: Path) -> None:
    with pytest.raises(KnowledgeError, match="attack from the server"):
        attack(case(attack={"name": "dragd"}), out=here / "run")
    assert not (here / "run").exists()


@pytest.mark.parametrize(
    ("keys", "possible"), [({}, True), ({"remaining_queries": 100}, False), ({"memory_budget": 2**20}, False)]
)
def test_links_candidates_if_oracle_and_memory_allow_it(keys: dict[str, Any], possible: bool) -> None:
    settings = {"memory_budget": 2**21} | keys
    view = AuditorView(torch.zeros(60, 300), FlatOracle(), small_images(240, seed=3), "cpu", **settings)
    assert can_link(view, small_images(60, seed=2)) is possible


def test_known_forgotten_samples_are_counted_after_the_attack(case: Make, here: Path, pieces: Path) -> None:
    mixed = shutil.copytree(pieces / "images", here / "mixed")
    for file in (pieces / "forgotten").rglob("*.png"):
        shutil.copy(file, mixed / file.parent.name / f"copy-{file.name}")
    unknown = attack(case(auxiliary=str(mixed)), out=here / "unknown")
    assert unknown.metrics.auxiliary_overlap is None
    with with_callbacks(announced := Warnings()):
        known = attack(case(auxiliary=str(mixed), truth=str(pieces / "forgotten")), out=here / "known")
    overlap = known.metrics.auxiliary_overlap
    assert overlap is not None
    assert (overlap.treatment, overlap.examined, overlap.compared) == ("counted", 12, 60)
    assert (overlap.exact, overlap.remaining) == (12, 12)
    # The attack used these samples all the same: only scoring knows which ones they are.
    assert torch.equal(images_of(known), images_of(unknown))
    (message,) = [text for text in announced.messages if "already had 12 of the 12" in text]
    page = (here / "known" / "report.html").read_text()
    assert message.split(":")[0] in page
    assert "which include 12 copies of the 12 forgotten samples" in page
    apart = attack(case(truth=str(pieces / "forgotten")), out=here / "apart").metrics.auxiliary_overlap
    assert apart is not None
    assert apart.copied == 0
