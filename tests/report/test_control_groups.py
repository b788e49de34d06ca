from typing import Any

import pytest
from tests.support.evidence_pages import crowded_parts
from tests.support.pages import make_metrics

from palimpsest.metrics import Metrics
from palimpsest.report.control_groups import control_group_sentences
from palimpsest.report.evidence_lines import evidence_lines
from palimpsest.report.worth import worth_findings


def group(low: float, high: float, **changes: Any) -> dict[str, Any]:
    """A control group with this interval of the difference."""
    return {
        "count": 100,
        "same_classes": True,
        "identified": 0.5,
        "interval": [0.4, 0.6],
        "chance": 0.01,
        "mse": 0.03,
        "mse_interval": [0.02, 0.04],
        "difference": (low + high) / 2,
        "difference_interval": [low, high],
    } | changes


def metrics(*, mse: float = 0.02, **groups: Any) -> Metrics:
    return make_metrics(mse=mse, top1=0.5, count=120, **crowded_parts(), control_groups=groups)


def text(**groups: Any) -> str:
    return "\n".join(control_group_sentences(metrics(**groups)))


def test_the_errors_are_reported_with_their_unpaired_intervals() -> None:
    first = text(retained=group(-0.01, 0.02), never_trained=group(-0.02, 0.01, count=80)).splitlines()[0]
    assert first == (
        "The same trained attack was tried on gradient differences of other samples. Its mean squared error is 0.02 on "
        "the forgotten samples, 0.03 on 100 retained ones (difference 0.005, unpaired 95 % interval -0.01 to 0.02), "
        "and 0.03 on 80 never-trained ones (difference -0.005, unpaired 95 % interval -0.02 to 0.01)."
    )
    assert "0.02 on the forgotten samples, and 0.03 on 100 retained ones" in text(retained=group(-0.01, 0.02))


@pytest.mark.parametrize(
    ("interval", "retained", "never"),
    [
        (
            (-0.03, -0.01),
            "part of the leak is specific to the forgotten",
            "depends on the samples' part in training",
        ),
        (
            (0.01, 0.03),
            "Retained samples are reconstructed even more",
            "never trained are reconstructed even more",
        ),
        (
            (-0.01, 0.01),
            "forgotten and retained samples is shown",
            "forgotten and never-trained samples is shown",
        ),
    ],
)
def test_a_difference_is_claimed_only_if_the_interval_excludes_zero(
    interval: tuple[float, float], retained: str, never: str
) -> None:
    every = ["is specific to the", "even more", "is shown", "depends on the samples' part"]
    for name, expected in (("retained", retained), ("never_trained", never)):
        found = text(**{name: group(*interval)})
        assert expected in found
        assert sum(claim in found for claim in every) == 1


def test_groups_of_other_classes_support_no_claim() -> None:
    other = group(-0.03, -0.01, same_classes=False)
    found = text(retained=other, never_trained=other)
    assert "100 retained ones of other classes (" in found
    assert "shows nothing about forgetting" in found
    assert "shows nothing about training" in found
    assert "is specific to" not in found


def test_an_attack_that_fails_supports_no_claim() -> None:
    parts = crowded_parts()
    parts["permutation_test"] |= {"p_value": 0.4, "p_value_within_class": 0.4}
    groups = {"retained": group(-0.01, 0.01)}
    failed = make_metrics(mse=0.02, top1=1 / 120, count=120, **parts, control_groups=groups)
    assert len(list(control_group_sentences(failed))) == 1


def test_nothing_is_said_without_groups() -> None:
    assert text() == ""


def test_findings_and_evidence_have_the_groups() -> None:
    measured = metrics(retained=group(-0.01, 0.02), never_trained=group(-0.02, 0.01))
    assert set(control_group_sentences(measured)) <= set(worth_findings(measured))
    lines = {line.test: line for line in evidence_lines(measured)}
    for name in ("retained", "never-trained"):
        line = lines[f"Mean squared error on {name} samples"]
        assert (line.result.value, line.result.interval) == (0.03, (0.02, 0.04))
        assert line.comparisons["forgotten"].value == 0.02
        assert line.finding == "information"
