"""Paired differences and Holm's correction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from palimpsest.reproduce import Cell
from palimpsest.reproduce.paired import Comparison, compare, holm, sentences
from palimpsest.reproduce.summary import Summary, estimate


def summary(seeds: tuple[int, ...], errors: list[float]) -> Summary:
    return Summary(Cell("cell", "digits", {}), seeds, {"mse": estimate(errors)}, {}, {}, 1, 0.0)


def test_differences_are_paired_by_seed() -> None:
    found = compare("a - b", summary((1, 2, 3), [0.5, 0.7, 0.9]), summary((3, 2, 5), [0.7, 0.4, 0.0]))
    assert found is not None
    assert found.difference.values == pytest.approx((0.3, 0.2))
    assert found.difference.mean == pytest.approx(0.25)
    assert found.p_value == pytest.approx(ttest_rel([0.7, 0.9], [0.4, 0.7]).pvalue)  # pyright: ignore[reportAttributeAccessIssue] - scipy's types lack it


def test_cells_without_a_common_seed_are_not_compared() -> None:
    assert compare("a - b", summary((1,), [0.5]), summary((2,), [0.5])) is None


@pytest.mark.parametrize(("errors", "expected"), [([0.5, 0.5], 1.0), ([0.75, 0.75], 0.0)])
def test_a_difference_that_never_varies_has_a_p_value(errors: list[float], expected: float) -> None:
    found = compare("a - b", summary((1, 2), errors), summary((1, 2), [0.5, 0.5]))
    assert found is not None
    assert found.p_value == expected


def reference_holm(p_values: list[float]) -> list[float]:
    """Adjust by the definition: the level at which the step-down procedure first rejects a test (slow)."""

    def adjusted(place: int) -> float:
        smaller = sorted(p_values)[: sorted(p_values).index(p_values[place]) + 1]
        return min(1.0, max((len(p_values) - rank) * value for rank, value in enumerate(smaller)))

    return [adjusted(place) for place in range(len(p_values))]


@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_equals_its_definition(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(reference_holm(p_values))


def test_sentences_name_interval_seeds_and_corrected_p_value() -> None:
    first, second = Comparison("A", estimate([1.0, 2.0, 3.0]), 0.01), Comparison("B", estimate([1.0]), None)
    third = Comparison("C", estimate([1.0, 2.0]), 0.04)
    equal = Comparison("D", estimate([0.0, 0.0]), 1.0)
    assert sentences([equal]) == ["D is 0 (the same in all of 2 seeds, p = 1 after Holm's correction)."]
    found = sentences([first, second, third])
    assert (
        found[0]
        == "A is 2 (95 % interval over seeds -0.48 to 4.5, 3 seeds, p = 0.02 after Holm's correction)."
    )
    assert found[1] == "B is 1 (one seed)."
    assert found[2].endswith("p = 0.04 after Holm's correction).")
