from typing import Any

import pytest

from palimpsest.metrics import Metrics
from palimpsest.report.worth import attacker_rows, soundness_rows, worth_findings

SCORES = {"mse": 0.07, "psnr": 11.6, "identification_top1": 0.01, "identification_top5": 0.05, "count": 200}
TREE: dict[str, Any] = {
    "attack": {},
    "seconds": {},
    "reconstruction": SCORES,
    "intervals": {"mse": [0.06, 0.08]},
    "chance": {"identification_top1": 0.005},
    "attackers": {
        "non-adaptive": {
            "reconstruction": SCORES | {"mse": 0.09},
            "intervals": {"mse": [0.08, 0.1]},
        },
        "undefended": {
            "reconstruction": SCORES | {"mse": 0.02, "identification_top1": 0.675},
            "intervals": {"mse": [0.01, 0.03]},
        },
    },
    "linkage": {
        "statistic": "norm",
        "identified": 1.0,
        "chance": 0.005,
        "found": [1.0, 1.0],
        "auc": 1.0,
        "intervals": [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]],
    },
    "soundness": {
        "areas": {
            "norm": {"zeros": [0.0, 0.0, 0.12], "replayed": [0.5, 0.4, 0.6]},
            "spot-check": {"zeros": [1.0, 0.88, 1.0], "replayed": [0.98, 0.96, 1.0]},
        },
        "needs": {"norm": "nothing", "spot-check": "challenges"},
        "checks": {"norm": "Is it short?"},
        "worst": {"norm": [0.0, 0.0, 0.12], "spot-check": [0.98, 0.96, 1.0]},
    },
}


def metrics(**changes: Any) -> Metrics:
    """The metrics with parts replaced; a part set to None is left out."""
    return Metrics.model_validate({name: part for name, part in (TREE | changes).items() if part is not None})


def test_attacker_rows_start_with_the_adaptive_attacker() -> None:
    rows = attacker_rows(metrics())
    assert [row[0] for row in rows] == ["adaptive", "non-adaptive", "undefended"]
    assert rows[1][2] == [("0.09", "0.08 to 0.1"), ("11.6", ""), ("1.0\N{NO-BREAK SPACE}%", "")]


def test_soundness_rows_have_a_row_for_each_forgery() -> None:
    table = soundness_rows(metrics())
    assert table is not None
    assert table["verifiers"] == ["norm", "spot-check"]
    assert table["rows"] == [
        ("zeros", [("0.00", "0.00 to 0.12"), ("1.00", "0.88 to 1.00")]),
        ("replayed", [("0.50", "0.40 to 0.60"), ("0.98", "0.96 to 1.00")]),
    ]
    assert table["checks"] == [("norm", "Is it short?", "nothing"), ("spot-check", "", "challenges")]
    assert not table["recognized"]


def test_findings_state_the_numbers() -> None:
    defended, linked, sound = worth_findings(metrics())
    assert "without the defenses, the same attack identifies 135 of 200" in defended
    assert "an attacker who does not know the defenses identifies 2 of 200 (0.1" in defended
    assert "200 of 200" in linked
    assert "has the norm of the image" in linked
    assert "the spot check detects every forgery" in sound
    assert "worst area under the ROC curve: 0.98, 95\N{NO-BREAK SPACE}% interval 0.96 to 1)" in sound


def test_undefended_proofs_are_linked_by_the_gradient_difference() -> None:
    linkage = TREE["linkage"] | {"statistic": "imitation"}
    plain = metrics(linkage=linkage, attackers=None, soundness=None)
    assert next(worth_findings(plain)).endswith(", because the proof is the image's gradient difference.")
    assert "imitation of the defenses" in list(worth_findings(metrics(linkage=linkage)))[1]


def test_attack_that_fails_without_defenses_says_nothing_about_them() -> None:
    failed = {
        "passed": False,
        "interval": (0.0, 0.02),
        "identified": 0.0,
        "chance": 0.01,
        "mse": 0.2,
        "mean_image": 0.1,
    }
    findings = list(worth_findings(metrics(undefended_baseline=failed)))
    assert "says nothing about them" in findings[1]
    assert "0.0 % to 2.0 %" in findings[1].replace("\N{NO-BREAK SPACE}", " ")
    assert not any(
        "says nothing" in finding
        for finding in worth_findings(metrics(undefended_baseline=failed | {"passed": True}))
    )


def test_supplied_defended_proofs_have_no_undefended_baseline() -> None:
    attackers = {"non-adaptive": TREE["attackers"]["non-adaptive"]}
    sentence = next(worth_findings(metrics(attackers=attackers)))
    assert "without the defenses" not in sentence
    assert len(attacker_rows(metrics(attackers=attackers))) == 2


def test_does_not_recommend_a_check_that_misses_a_forgery() -> None:
    worst = {"areas": {}, "needs": {}, "worst": {"norm": [0.0, 0.0, 0.0], "range": [0.52, 0.4, 0.6]}}
    assert "none detects all forgeries" in list(worth_findings(metrics(soundness=worst)))[-1]


@pytest.mark.parametrize("missing", ["attackers", "linkage", "soundness"])
def test_leaves_out_what_was_not_measured(missing: str) -> None:
    partial = metrics(**{missing: None})
    assert len(list(worth_findings(partial))) == 2
    assert bool(attacker_rows(partial)) == (missing != "attackers")
    assert (soundness_rows(partial) is None) == (missing == "soundness")
