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
            "norm": {"zeros": [0.0, 0.0, 0.0], "replayed": [0.5, 0.4, 0.6]},
            "spot-check": {"zeros": [1.0, 1.0, 1.0], "replayed": [0.98, 0.96, 1.0]},
        },
        "needs": {"norm": "nothing", "spot-check": "challenges"},
        "checks": {"norm": "Is it short?"},
        "worst": {"norm": [0.0, 0.0, 0.0], "spot-check": [0.98, 0.96, 1.0]},
    },
}


def metrics(**changes: Any) -> Metrics:
    """The metrics with parts replaced; None leaves one out."""
    return Metrics.model_validate({name: part for name, part in (TREE | changes).items() if part is not None})


def test_each_attacker_has_a_row_the_knowing_one_first() -> None:
    rows = attacker_rows(metrics())
    assert [row[0] for row in rows] == ["adaptive", "non-adaptive", "undefended"]
    assert rows[1][2] == [("0.09", "0.08 to 0.1"), ("11.6", ""), ("1.0\N{NO-BREAK SPACE}%", "")]


def test_a_row_for_each_forger_and_a_column_for_each_verifier() -> None:
    table = soundness_rows(metrics())
    assert table is not None
    assert table["verifiers"] == ["norm", "spot-check"]
    assert table["rows"] == [
        ("zeros", [("0.00", ""), ("1.00", "")]),
        ("replayed", [("0.50", "0.40 to 0.60"), ("0.98", "0.96 to 1.00")]),
    ]
    assert table["checks"] == [("norm", "Is it short?", "nothing"), ("spot-check", "", "challenges")]
    assert not table["recognized"]


def test_findings_say_what_the_numbers_show() -> None:
    defended, confirmed, sound = worth_findings(metrics())
    assert "without the defenses the same attack tells 135 of 200 apart" in defended
    assert "an attacker who does not know of them tells 2 of 200 apart (0.1" in defended
    assert "200 of 200" in confirmed
    assert "its norm is that of the image" in confirmed
    assert "the spot check tells every forgery" in sound


def test_a_proof_without_a_defense_is_confirmed_by_being_the_difference() -> None:
    linkage = TREE["linkage"] | {"statistic": "imitation"}
    plain = metrics(linkage=linkage, attackers=None, soundness=None)
    assert next(worth_findings(plain)).endswith(": it is the image's gradient difference.")
    assert "imitation of the defenses" in list(worth_findings(metrics(linkage=linkage)))[1]


def test_an_attack_that_fails_anyway_says_nothing_about_the_defense() -> None:
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
        "says nothing" in one
        for one in worth_findings(metrics(undefended_baseline=failed | {"passed": True}))
    )


def test_proofs_that_came_defended_have_no_undefended_control() -> None:
    brought = {"non-adaptive": TREE["attackers"]["non-adaptive"]}
    sentence = next(worth_findings(metrics(attackers=brought)))
    assert "without the defenses" not in sentence
    assert len(attacker_rows(metrics(attackers=brought))) == 2


def test_no_check_is_praised_that_a_forger_deceives() -> None:
    worst = {"areas": {}, "needs": {}, "worst": {"norm": [0.0, 0.0, 0.0], "range": [0.52, 0.4, 0.6]}}
    assert "no check tells all forgeries" in list(worth_findings(metrics(soundness=worst)))[-1]


@pytest.mark.parametrize("missing", ["attackers", "linkage", "soundness"])
def test_what_was_not_measured_is_left_out(missing: str) -> None:
    few = metrics(**{missing: None})
    assert len(list(worth_findings(few))) == 2
    assert bool(attacker_rows(few)) == (missing != "attackers")
    assert (soundness_rows(few) is None) == (missing == "soundness")
