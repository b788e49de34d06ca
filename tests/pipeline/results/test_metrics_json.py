import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.outcomes import audit_outcome, gradients_outcome, proofs_outcome, scores

from palimpsest.datasets import FederatedData
from palimpsest.federation import parameter_distance
from palimpsest.metrics import LinkageScores, PermutationTest
from palimpsest.pipeline.results.metrics_json import build_metrics
from palimpsest.pipeline.results.outcome import Federated
from palimpsest.pipeline.stages.soundness import Soundness
from palimpsest.proofs import RECOGNIZED


def test_metrics_of_an_audit_have_all_documented_parts(finished_audit: Path) -> None:
    metrics = json.loads((finished_audit / "metrics.json").read_text())
    assert metrics["federation"].keys() >= {"original_accuracy", "unlearned_accuracy", "participation"}
    assert metrics["verification"].keys() == {"tau", "accepted", "rejected"}
    assert metrics["verification"]["accepted"] + metrics["verification"]["rejected"] == 12
    names = {
        "mse",
        "psnr",
        "psnr_of_mean_mse",
        "ssim",
        "identification_top1",
        "identification_top5",
        "count",
    }
    assert metrics["reconstruction"].keys() >= names
    assert len(metrics["reconstruction"].keys() & {"lpips", "lpips_reason"}) == 1
    assert metrics["baselines"].keys() == {"mean_image", "nearest_auxiliary"}
    assert metrics["chance"]["identification_top1"] == pytest.approx(1 / 12)
    assert (
        metrics["intervals"]["mse"][0] <= metrics["reconstruction"]["mse"] <= metrics["intervals"]["mse"][1]
    )
    assert set(metrics["seconds"]) == {path.stem for path in finished_audit.glob("*.safetensors")} - {
        "report"
    }
    assert len(metrics["federation"]["participation"]) == 4
    assert metrics["auxiliary_overlap"]["treatment"] == "removed"
    assert metrics["control_groups"].keys() == {"retained", "never_trained"}
    assert {group["count"] for group in metrics["control_groups"].values()} == {12}
    # Parts whose stage was not run are absent.
    assert not metrics.keys() & {
        "undefended_baseline",
        "observation",
        "proofs",
        "parameter_distance",
        "prior",
        "retained",
    }


def test_an_audit_reports_its_federation(data: FederatedData) -> None:
    metrics = build_metrics(audit_outcome(data), {"original": 1.5}).tree()
    assert metrics["federation"] == {
        "original_accuracy": 0.8,
        "unlearned_accuracy": 0.8,
        "participation": [2, 0, 1, 0, 0],
        "faults": 1,
    }
    assert metrics["excluded_replies"] == {"1": {"not finite": 1}}
    assert metrics["seconds"] == {"original": 1.5}
    assert metrics["verification"] == {"tau": 1.0, "accepted": 4, "rejected": 0}
    assert not metrics.keys() & {"proofs", "observation", "parameter_distance", "label_accuracy"}


def test_a_server_audit_reports_the_parameter_distance(data: FederatedData) -> None:
    outcome = audit_outcome(data, server=True)
    assert isinstance(outcome.source, Federated)
    before, after = outcome.source.original.parameters, outcome.source.unlearned.parameters
    expected = parameter_distance(before, after, outcome.source.federation.network())
    assert build_metrics(outcome, {}).parameter_distance == pytest.approx(expected)
    assert expected > 0


def test_an_attack_on_proofs_reports_the_file() -> None:
    metrics = build_metrics(proofs_outcome(), {}).tree()
    assert metrics["proofs"] == {"count": 4, "dimension": 300, "attested": False}
    assert metrics["attack"] == {"queries": 6.0}
    assert metrics["verification"] == {"tau": 3.0, "accepted": 3, "rejected": 1}
    assert build_metrics(proofs_outcome(metadata={"loss": "cross_entropy"}), {}).proofs.attested  # type: ignore[union-attr]
    assert not metrics.keys() & {
        "reconstruction",
        "linkage",
        "undefended_baseline",
        "federation",
        "observation",
    }


def test_an_attack_on_gradients_reports_the_batches() -> None:
    metrics = build_metrics(gradients_outcome(), {}).tree()
    assert metrics["observation"] == {"batches": 2, "dimension": 7, "retained": 3, "forgotten": 2}
    assert metrics["label_accuracy"] == 0.5
    assert metrics["retained"]["mse"] == 0
    assert metrics["retained"]["intervals"]["mse"] == [0, 0]
    assert not metrics.keys() & {"prior", "verification", "proofs"}


def test_every_score_and_every_attacker_is_reported() -> None:
    outcome, found = proofs_outcome(scored=True), scores()
    links = LinkageScores("norm", 0.5, [0.1, 0.2], 0.9, 0.25, [[0.1, 0.9], [0, 1], [0, 1]])
    test = PermutationTest(0.1, 0.2, 0.01, 0.15, 0.02, 100)
    scored = replace(
        outcome.scored, attackers={"undefended": found}, undefended=found, linkage=links, pairing=test
    )
    areas = {"norm": {"zeros": [0.2, 0.1, 0.3], "small": [0.4, 0.3, 0.5], RECOGNIZED: [0.0, 0.0, 0.1]}}
    metrics = build_metrics(
        replace(outcome, scored=scored, soundness=Soundness(areas, {"norm": "nothing"})), {}
    )
    assert metrics.reconstruction is not None
    assert metrics.reconstruction.mse == pytest.approx(float(found.mse.mean()))
    assert metrics.attackers["undefended"].reconstruction == metrics.reconstruction
    assert metrics.undefended_baseline is not None
    assert metrics.undefended_baseline.mse == metrics.reconstruction.mse
    assert (metrics.linkage, metrics.permutation_test) == (links, test)
    assert metrics.soundness is not None
    assert metrics.soundness.worst == {"norm": (0.2, 0.1, 0.3)}
    assert set(metrics.soundness.checks) == {"norm"}
    assert set(metrics.baselines) == {"mean_image", "nearest_auxiliary"}
