from typing import Any

from tests.report.test_worth import TREE
from tests.support.pages import BOUNDS, make_metrics

from palimpsest.metrics import Metrics
from palimpsest.report.bounds import bound_sentences


def metrics(bounds: dict[str, Any] | None = BOUNDS) -> Metrics:
    return make_metrics(mse=0.09, top1=0.01, count=120, bounds=bounds, linkage=TREE["linkage"])


def without_spaces(sentence: str) -> str:
    return sentence.replace("\N{NO-BREAK SPACE}", " ")


def test_one_sentence_for_each_bracket() -> None:
    linkage, error, epsilon = map(without_spaces, bound_sentences(metrics()))
    assert linkage == (
        "The linkage attack links 100.0 % of the proofs (95 % interval 100.0 % to 100.0 %), the best possible attack "
        "on one proof 2.0 % (95 % interval 1.6 % to 2.5 %), a guess 0.8 %; no attack on one proof exceeds 2.6 % in "
        "expectation (any 120 candidates: 4.1 %)."
    )
    assert error.startswith(
        "The attack has a mean squared error of 0.09 (95 % interval 0.0855 to 0.0945); no attack has less than 0.072"
    )
    assert error.endswith(
        "none that knows the labels less than 0.042 if the images of a class were Gaussian."
    )
    assert "at least ε = 1.5 at δ = 1e-05" in epsilon
    assert epsilon.endswith("at most 5.9 between these two samples, and 8 between any two samples.")


def test_missing_parts_have_no_sentence() -> None:
    assert bound_sentences(metrics(None)) == []
    assert bound_sentences(metrics({"reason": "no bound: why"})) == ["No bound: why."]
    alone = {"identification": {"candidates": 9, "chance": 1 / 9, "any_candidates_bound": 0.2}}
    unlinked = make_metrics(mse=0.09, top1=0.01, count=120, bounds=alone)
    (sentence,) = bound_sentences(unlinked)
    assert without_spaces(sentence).startswith(
        "No linkage attack was run, a guess 11.1 %; no attack on one proof"
    )
    epsilon = {**BOUNDS["epsilon"], "analytic": None}
    (last,) = bound_sentences(metrics({"epsilon": epsilon}))
    assert last.endswith("; the defense guarantees no limit.")
