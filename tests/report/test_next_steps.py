from typing import Any

import pytest
from tests.support.pages import CONFIG, synthetic_report, unscored_page

from palimpsest.metrics import Grade
from palimpsest.report.next_steps import next_steps


def steps(grade: Grade, *, damaged: bool = False, **changes: Any) -> tuple[str, ...]:
    return next_steps(synthetic_report(60, **changes), grade, damaged=damaged)


def test_a_leak_forbids_publication_first() -> None:
    found = steps(Grade.LEAKS, config=CONFIG | {"defenses": []})
    assert found[0].startswith("Do not publish these proofs.")
    assert found[1].startswith("Aggregate proofs per client")
    assert "The defense in use (gaussian)" in steps(Grade.LEAKS)[1]


@pytest.mark.parametrize("grade", list(Grade))
@pytest.mark.parametrize("damaged", [True, False])
def test_there_are_three_different_steps(grade: Grade, damaged: bool) -> None:
    found = steps(grade, damaged=damaged)
    assert len(set(found)) == 3
    assert any("unlearned model into service" in step for step in found) == damaged


def test_a_check_that_accepts_forgeries_is_no_evidence() -> None:
    soundness = {
        "areas": {},
        "needs": {},
        "worst": {"norm": [0.0, 0.0, 0.0], "spot-check": [1.0, 1.0, 1.0]},
    }
    found = steps(Grade.NO_LEAK_FOUND, parts={"soundness": soundness})
    assert any("require the spot check as well" in step for step in found)


def test_few_samples_are_a_reason_to_repeat() -> None:
    found = next_steps(synthetic_report(12), Grade.NO_LEAK_FOUND, damaged=False)
    assert any("at least 50 forgotten images: 12 are too few" in step for step in found)


def test_unscored_results_need_the_forgotten_images() -> None:
    found = next_steps(unscored_page(), Grade.INCONCLUSIVE, damaged=False)
    assert found[0] == "Treat these proofs as personal data until a test gives a clear result."
    assert "--truth" in found[1]
