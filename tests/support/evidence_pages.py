"""Report pages with everything that an evidence page can hold."""

import copy
from typing import Any

from tests.support.forgetting_cases import graded_forgetting
from tests.support.pages import BOUNDS, FORGETTING, synthetic_report

from palimpsest.report import ReportInput

HASHED = "configuration", "training data", "auxiliary data", "original model", "unlearned model", "proofs"
_FACTS = [
    ("Data", "digits"),
    ("Model", "convnet"),
    ("Unlearning", "sample level, retrain"),
    ("Forgotten", "120 of 1,347 training samples, held by 4 of 10 clients"),
    ("Defense", "clip-noise, gaussian, orthogonal"),
    ("Attack", "strongest, which reports igf-plus"),
    ("Seed", "1234"),
]
_WORKS = {
    "identified": 0.8,
    "interval": (0.7, 0.9),
    "chance": 1 / 64,
    "mse": 0.03,
    "mean_image": 0.08,
    "passed": True,
}
_NORM, _CHALLENGE = (0.0, 0.0, 0.0), (0.99, 0.98, 1.0)


def rate(value: float, chance: float | None = None, *, count: int = 220) -> dict[str, Any]:
    """Make a rate with an interval of four points on each side."""
    return {"value": value, "low": value - 0.04, "high": value + 0.04, "chance": chance, "count": count}


def crowded_parts(further: int = 0) -> dict[str, Any]:
    """Make sections of metrics with every test, and further tests of forgetting as rows.

    Args:
        further: Number of further tests of forgetting.
    """
    damaged = copy.deepcopy(FORGETTING)
    damaged["unlearned"]["test"] = 0.5
    late = "Its estimated time of 40 minutes exceeds the 12 minutes that are left of the time budget."
    label = "LiRA, online, 64 shadow models, TPR at 0.1 % FPR"
    rows = [
        graded_forgetting(
            (0.2, 0.4), (0.01, 0.2), expected=(0.0, 0.02), label=label, share=True, chance=0.001
        )
        for _ in range(further)
    ]
    return {
        "forgetting": damaged,
        "forgetting_tests": [row.model_dump() for row in rows],
        "rates": {"accepted": rate(0.94, 0.99), "identification_top1": rate(0.5, 1 / 120)},
        "bounds": BOUNDS,
        "positive_control": {"count": 64, "mse_interval": (0.02, 0.04), **_WORKS},
        "undefended_baseline": _WORKS,
        "linkage": {
            "statistic": "norm",
            "identified": 0.3,
            "found": [0.1, 0.2],
            "auc": 0.8,
            "chance": 1 / 120,
            "intervals": [[0.2, 0.4], [0.0, 0.2], [0.1, 0.3]],
        },
        "permutation_test": {
            "matched": 0.1,
            "shuffled": 0.2,
            "p_value": 0.001,
            "shuffled_within_class": 0.2,
            "p_value_within_class": 0.001,
            "permutations": 999,
        },
        "soundness": {
            "areas": {"norm": {"zeros": _NORM}, "challenge-check": {"zeros": _CHALLENGE}},
            "needs": {"norm": "nothing", "challenge-check": "queries"},
            "worst": {"norm": _NORM, "challenge-check": _CHALLENGE},
        },
        "privacy": {
            "noise_multiplier": 1.0,
            "clip": 1.0,
            "delta": 1e-5,
            "epsilon_training": 3.0,
            "epsilon_unlearning": 2.0,
            "epsilon": 8.0,
        },
        "portfolio": [
            {"attack": "igf-plus", "settings": "epochs 3", "reported": True},
            *({"attack": f"igf-white-{place}", "not_run": late, "out_of_time": True} for place in range(3)),
        ],
    }


def crowded_page(*, further: int = 0, **changes: Any) -> ReportInput:
    """Make a page with every test, long names, a damaged model, three attacks that were not run, and six hashes.

    Args:
        further: Number of further tests of forgetting.
        changes: Fields of the page to replace.
    """
    fields: dict[str, Any] = {
        "facts": [
            *_FACTS,
            ("Oracle", "mypackage.gradients:oracle"),
            ("Proofs", "1,000 with 269,722 values each"),
        ],
        "hashes": [(name, "0123456789abcdef" * 4) for name in HASHED],
        "finished": "30 November 2026, 19:00 UTC",
        "title": "strongest attack on a data set with quite a long name: sample-level unlearning (retrain)",
    }
    return synthetic_report(120, parts=crowded_parts(further), **(fields | changes))
