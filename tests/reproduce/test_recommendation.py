from palimpsest.reproduce import Cell, Summary
from palimpsest.reproduce.recommendation import CHECKS, recommend
from palimpsest.reproduce.summary import Estimate


def cell(name: str, told: float, confirmed: float, worth: float, preset: str = "digits") -> Summary:
    def share(value: float) -> Estimate:
        return Estimate(value, max(0.0, value - 0.02), value + 0.02)

    return Summary(
        cell=Cell(name, preset, {} if name == "none" else {"defenses": [{"name": name}]}),
        seeds=(1,),
        scores={"identification_top1": share(told)},
        columns={"confirmed": share(confirmed), **{check: Estimate(0.5, 0.4, 0.6) for check in CHECKS}}
        | {"spot check": Estimate(worth, worth, worth)},
        facts={},
        forgotten=200,
        seconds=1.0,
    )


NONE = cell("none", 0.7, 1.0, 1.0)


def test_what_hides_the_image_and_can_be_checked_is_recommended() -> None:
    first, second = recommend([NONE, cell("orthogonal", 0.005, 1.0, 1.0)])
    assert "orthogonal is enough" in first
    assert "spot check still tells forgeries" in first
    assert "None hides which image" in second


def test_what_hides_even_which_image_it_is_says_what_it_costs() -> None:
    sentences = recommend([NONE, cell("orthogonal", 0.005, 1.0, 1.0), cell("noise", 0.01, 0.02, 0.56)])
    assert "under noise" in sentences[1]
    assert "hardly tells them from forgeries any more (area 0.56)" in sentences[1]


def test_nothing_is_recommended_that_hides_nothing() -> None:
    assert recommend([NONE])[0] == "No defense here stops the reconstruction."


def test_a_proof_that_is_worth_nothing_is_no_answer() -> None:
    assert "no check tells from a forgery" in recommend([NONE, cell("noise", 0.005, 0.005, 0.5)])[0]


def test_an_attack_that_fails_without_a_defense_recommends_none() -> None:
    (sentence,) = recommend([cell("none", 0.005, 1.0, 1.0), cell("orthogonal", 0.005, 1.0, 1.0)])
    assert "says nothing" in sentence


def test_each_preset_has_sentences_of_its_own() -> None:
    better, worse = (
        cell("orthogonal", 0.005, 1.0, worth, preset) for preset, worth in (("a", 1.0), ("b", 0.5))
    )
    sentences = recommend([better, worse])
    assert [sentence[:3] for sentence in sentences] == ["a: ", "a: ", "b: ", "b: "]
    assert "orthogonal is enough" in sentences[0]
    assert "no check tells" in sentences[2]
