from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.artifacts import NO_MODELS, Make
from tests.support.counting_oracle import CountingOracle
from tests.support.outcomes import audit_outcome, gradients_outcome, proofs_outcome, scores

from palimpsest.datasets import FederatedData
from palimpsest.metrics import PermutationTest, PriorComparison, Rate
from palimpsest.pipeline.attack import attack
from palimpsest.pipeline.results.metrics_json import build_metrics
from palimpsest.pipeline.results.notes import label_note, outcome_notes, pairing_notes
from palimpsest.pipeline.results.outcome import Outcome
from palimpsest.proofs import Proofs, load_proofs, save_proofs


def notes(outcome: Outcome) -> str:
    return "\n".join(outcome_notes(outcome, build_metrics(outcome, {})))


def test_notes_about_proofs_name_missing_information() -> None:
    text = notes(proofs_outcome())
    assert "A note of the artifacts." in text
    assert "The proofs are unattested" in text
    assert "The linkage attack" not in text
    assert "unattested" not in notes(proofs_outcome(metadata={"loss": "cross_entropy"}))
    assert "The linkage attack" in notes(proofs_outcome(scored=True))


def test_a_missing_undefended_baseline_is_noted() -> None:
    outcome = proofs_outcome(defenses=[{"name": "sign"}])
    assert "The attack was not tested on proofs without the defenses" in notes(outcome)
    scored = replace(outcome, scored=replace(outcome.scored, undefended=scores()))
    assert "was not tested" not in notes(scored)


def test_notes_about_batches_explain_the_pairing() -> None:
    text = notes(gradients_outcome())
    assert text.startswith("The user stated how many samples of each batch are retained")
    assert "paired with its originals" in text
    assert "the correct label for 50% of the forgotten samples" in text
    assert "The reconstructed retained samples have an MSE of 0 from their originals." in text
    assert "The server saw the gradients" not in text
    single = gradients_outcome(label_accuracy=None, observation={"retained": 3, "forgotten": 1})
    assert "paired with its originals" not in notes(single)
    assert "correct label" not in notes(single)
    assert "without their noise" not in text
    assert "without their noise" in notes(gradients_outcome(defenses=["gaussian"]))


def test_notes_about_an_audit_name_excluded_replies(data: FederatedData) -> None:
    text = notes(audit_outcome(data))
    assert "A note of the method." in text
    assert "Replies of client 1 were excluded from training: not finite (1 time)." in text
    assert "excluded from unlearning" not in text
    observation = {"retained": 3, "forgotten": 2, "local_steps": 4}
    server_text = notes(audit_outcome(data, server=True, observation=observation, unlearning={"count": 4}))
    assert "batches of 3 retained and 2 forgotten samples after 4 local steps." in server_text


def test_correct_labels_are_compared_with_the_most_frequent_class() -> None:
    note = label_note(Rate(0.5, 0.25, 0.75, 0.4, 20))
    assert "correct label for 50% of" in note
    assert "25% to 75%" in note
    assert "would be correct for 40%" in note


@pytest.mark.parametrize(("p_value", "count"), [(0.01, 1), (0.05, 1), (0.3, 2)])
def test_notes_an_insignificant_permutation_test(p_value: float, count: int) -> None:
    sentences = list(pairing_notes(PermutationTest(0.1, 0.2, p_value, 0.15, 0.4, 1000)))
    assert len(sentences) == count
    assert "with 1,000 random pairings: the mean squared error" in sentences[0]
    assert "is 0.1 between the reconstructions and their own originals" in sentences[0]
    assert ("not significantly closer to their own originals" in sentences[-1]) is (count == 2)
    assert list(pairing_notes(None)) == []


def test_the_report_names_proofs_of_another_request_and_copies(case: Make, here: Path, proofs: Path) -> None:
    held = load_proofs(proofs)
    vectors = held.vectors.clone()
    vectors[7] = vectors[3]
    forged = Proofs(vectors, held.metadata | {"unlearned": "ab" * 32})
    save_proofs(here / "forged.safetensors", forged)
    attack(case(proofs=str(here / "forged.safetensors")), out=here / "run")
    page = (here / "run" / "report.html").read_text()
    assert "name another unlearned model" in page
    assert "name another original model" not in page
    assert "Proofs 3, 7 are identical" in page
    attack(case(), out=here / "honest")
    assert "are identical" not in (here / "honest" / "report.html").read_text()


def test_the_report_notes_a_missing_undefended_baseline(
    case: Make, here: Path, pieces: Path, counting_oracle: CountingOracle
) -> None:
    oracle = {"source": counting_oracle.source, "query_budget": 48}
    keys = {"defenses": [{"name": "sign"}], "oracle": oracle, "truth": str(pieces / "forgotten")}
    result = attack(case(**keys, **NO_MODELS), out=here / "run")
    assert sum(counting_oracle.asked) == 48
    assert result.metrics.undefended_baseline is None
    assert "this alone is no evidence that the defenses work" in (here / "run" / "report.html").read_text()


def test_an_attack_that_ends_worse_than_its_prior_is_noted_as_failed() -> None:
    outcome = proofs_outcome(scored=True)
    metrics = build_metrics(outcome, {})
    worse = PriorComparison("start", 0.06, 0.04, (0.03, 0.05), failed=True)
    text = "\n".join(outcome_notes(outcome, metrics.model_copy(update={"prior_comparison": worse})))
    assert "Failed attack: worse than its prior, this is not protection." in text
    assert "0.04 above that of the images that it started from" in text
    level = replace(worse, interval=(-0.01, 0.05), failed=False)
    text = "\n".join(outcome_notes(outcome, metrics.model_copy(update={"prior_comparison": level})))
    assert "not significantly closer than its prior alone" in text
    closer = replace(worse, difference=-0.02, interval=(-0.03, -0.01), failed=False)
    text = "\n".join(outcome_notes(outcome, metrics.model_copy(update={"prior_comparison": closer})))
    assert "prior" not in text
