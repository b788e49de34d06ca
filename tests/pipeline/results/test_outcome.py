from tests.support.outcomes import gradients_outcome, proofs_outcome


def test_missing_results_are_none() -> None:
    outcome = gradients_outcome()
    assert (outcome.verdicts, outcome.soundness) == (None, None)
    assert proofs_outcome().forgotten is None
