from typing import Any

from palimpsest.metrics.rates import area, share
from palimpsest.metrics.schema_membership import MembershipMetrics


def section(**changes: Any) -> MembershipMetrics:
    test = {
        "test": "lira",
        "needs": "one model",
        "group": "forgotten",
        "model": "original",
        "auc": area(0.7, 50, 50),
        "detections": [{"rate": 0.01, "needed": 100, "found": share(0.1, 50, chance=0.01)}],
    }
    return MembershipMetrics.model_validate(
        {"shadows": 4, "pairs": {"forgotten": 50}, "tests": [{**test, **changes}], "exposed": [3, 1]}
    )


def test_results_are_found_by_test_group_and_model():
    metrics = section()
    found = metrics.find("lira", "forgotten", "original")
    assert found is not None
    assert found.auc.value == 0.7
    assert metrics.find("lira", "forgotten", "unlearned") is None


def test_survives_json():
    metrics = section(detections=[{"rate": 0.01, "needed": 100}])
    again = MembershipMetrics.model_validate_json(metrics.model_dump_json())
    assert again == metrics
    assert again.tests[0].detections[0].found is None
