from palimpsest.reproduce import Cell, Summary
from palimpsest.reproduce.recommendation import CHECKS, recommend
from palimpsest.reproduce.summary import Estimate


def cell(name: str, identified: float, linked: float, area: float, preset: str = "digits") -> Summary:
    def share(value: float) -> Estimate:
        return Estimate(value, max(0.0, value - 0.02), value + 0.02)

    return Summary(
        cell=Cell(name, preset, {} if name == "none" else {"defenses": [{"name": name}]}),
        seeds=(1,),
        scores={"identification_top1": share(identified)},
        columns={"linked": share(linked), **{check: Estimate(0.5, 0.4, 0.6) for check in CHECKS}}
        | {"spot check": Estimate(area, area - 0.1, area)},
        facts={},
        forgotten=200,
        seconds=1.0,
    )


NONE = cell("none", 0.7, 1.0, 1.0)


def test_recommends_a_defense_that_hides_images_and_stays_sound() -> None:
    first, second = recommend([NONE, cell("orthogonal", 0.005, 1.0, 1.0)])
    assert "orthogonal is enough" in first
    assert "spot check still separates forgeries" in first
    assert "No tested defense stops both" in second


def test_recommends_noise_against_linkage_with_its_cost() -> None:
    sentences = recommend([NONE, cell("orthogonal", 0.005, 1.0, 1.0), cell("noise", 0.01, 0.02, 0.56)])
    assert "use noise" in sentences[1]
    assert "hardly separates forgeries from proofs (area 0.56 (0.46 to 0.56))" in sentences[1]


def test_recommends_no_defense_if_none_helps() -> None:
    assert recommend([NONE])[0] == "No tested defense stops the reconstruction."


def test_recommends_no_defense_with_unsound_proofs() -> None:
    assert (
        "no verifier separates proofs from forgeries"
        in recommend([NONE, cell("noise", 0.005, 0.005, 0.5)])[0]
    )


def test_draws_no_conclusion_from_an_attack_at_chance() -> None:
    (sentence,) = recommend([cell("none", 0.005, 1.0, 1.0), cell("orthogonal", 0.005, 1.0, 1.0)])
    assert "can't evaluate any defense" in sentence


def test_each_preset_has_its_own_sentences() -> None:
    better, worse = (
        cell("orthogonal", 0.005, 1.0, area, preset) for preset, area in (("a", 1.0), ("b", 0.5))
    )
    sentences = recommend([better, worse])
    assert [sentence[:3] for sentence in sentences] == ["a: ", "a: ", "b: ", "b: "]
    assert "orthogonal is enough" in sentences[0]
    assert "no verifier separates" in sentences[2]
