from itertools import product

import pytest

from palimpsest.metrics import ForgettingGrade, Grade
from palimpsest.report.risk import FORGETTING_RISKS, FORGETTING_RULES, RISKS, RULES, Risk, combined


def test_every_verdict_has_a_grade_and_every_grade_a_rule() -> None:
    assert set(RISKS) == set(Grade)
    assert set(FORGETTING_RISKS) == set(ForgettingGrade)
    assert (
        set(RULES)
        == set(FORGETTING_RULES)
        == set(Risk)
        == set(RISKS.values())
        == set(FORGETTING_RISKS.values())
    )


@pytest.mark.parametrize(("first", "second"), list(product(Risk, repeat=2)))
def test_the_residual_risk_is_the_higher_one_and_low_only_if_both_are(first: Risk, second: Risk) -> None:
    risk = combined(first, second)
    assert risk is combined(second, first)
    assert (risk is Risk.LOW) == (first is second is Risk.LOW)
    assert (risk is Risk.HIGH) == (Risk.HIGH in (first, second))
    assert (risk is Risk.UNKNOWN) == ({first, second} in ({Risk.UNKNOWN}, {Risk.UNKNOWN, Risk.LOW}))
