"""Conversion of the membership tests' results to metrics and to the curves of the report page."""

import torch

from palimpsest.membership import TESTS, Assessment
from palimpsest.metrics import Estimate, ForgettingTest
from palimpsest.metrics.roc import RATES
from palimpsest.metrics.schema_membership import (
    DetectionMetrics,
    MembershipMetrics,
    MembershipTestMetrics,
)
from palimpsest.storage import Parameters
from palimpsest.unlearning import Unlearning


def membership_metrics(assessment: Assessment, unlearned: Unlearning) -> MembershipMetrics:
    """Return the section of `metrics.json`.

    Args:
        assessment: Results of all tests.
        unlearned: The forgotten samples, in the order of which the most exposed ones are numbered.
    """
    tests = list[MembershipTestMetrics]()
    for result in assessment.results:
        curve = result.roc
        detections = [curve.detection(rate) for rate in RATES]
        tests.append(
            MembershipTestMetrics.model_validate(
                {
                    "test": result.test,
                    "needs": TESTS[result.test].needs,
                    "group": result.group,
                    "model": result.model,
                    "auc": curve.auc,
                    "detections": [
                        DetectionMetrics(rate=one.rate, needed=one.needed, found=one.found)
                        for one in detections
                    ],
                }
            )
        )
    strongest = assessment.find("u-lira", "forgotten", "unlearned")
    assert strongest is not None, "an audit's shadow federations unlearn"
    number = {row: position for position, row in enumerate(unlearned.forgotten.tolist())}
    return MembershipMetrics(
        shadows=assessment.shadows,
        pairs={"forgotten": len(assessment.forgotten), "retained": len(assessment.retained)},
        tests=tests,
        exposed=[number[row] for row in assessment.forgotten[strongest.most_exposed()].tolist()],
    )


def membership_forgetting_tests(membership: MembershipMetrics) -> list[ForgettingTest]:
    """Return rows of the table of forgetting: the tests of single samples on the forgotten ones.

    Tests of one model are decisive: without the forgotten samples, their area is 0.5. Before unlearning, U-LiRA's row
    has LiRA's area, because nothing was unlearned. An attacker who holds both models also finds samples that were
    forgotten perfectly, so those tests are for information.

    Args:
        membership: The section of `metrics.json`.
    """
    rows = list[ForgettingTest]()
    for name, before in (("lira", "lira"), ("rmia", "rmia"), ("u-lira", "lira"), ("update-lira", None)):
        after = membership.find(name, "forgotten", "unlearned")
        original = before and membership.find(before, "forgotten", "original")
        if after is None:
            continue
        rows.append(
            ForgettingTest(
                name=f"{name}-auc",
                label=f"Membership inference by {TESTS[name].title}, AUC",
                original=_estimate(original) if original else None,
                unlearned=_estimate(after),
                chance=0.5,
                count=membership.pairs["forgotten"],
                expected=(0.5, 0.5) if before else None,
                side="above",
            )
        )
    return rows


def _estimate(test: MembershipTestMetrics) -> Estimate:
    return Estimate(value=test.auc.value, interval=(test.auc.low, test.auc.high))


def membership_curves(assessment: Assessment) -> Parameters:
    """Return the ROC curves of the tests on the forgotten samples after unlearning.

    Args:
        assessment: Results of all tests.

    Returns:
        By name of the test: false positive rates and true positive rates, `[points, 2]`.
    """
    return {
        result.test: torch.stack([result.roc.false_positives, result.roc.true_positives], 1)
        for result in assessment.results
        if (result.group, result.model) == ("forgotten", "unlearned")
    }
