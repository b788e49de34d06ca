from tests.support.outcomes import gradients_outcome, proofs_outcome


def test_what_was_not_made_is_none() -> None:
    outcome = gradients_outcome()
    assert (outcome.verdicts, outcome.soundness) == (None, None)
    assert proofs_outcome().forgotten is None
