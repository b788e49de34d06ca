import math

import pytest

from palimpsest.report.scores import change, count, duration, format_score, number, percent


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.02113, "0.02113"), (17.1947, "17.19"), (0.0, "0"), (12345.6, "12,346"), (1e-7, "1e-07")],
)
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_missing_and_non_finite_values_are_a_dash(value):
    assert number(value) == percent(value) == "–"


def test_count_separates_thousands():
    assert count(1000.2) == "1,000"


def test_percent_has_one_decimal_and_a_no_break_space():
    assert percent(0.8124) == "81.2\N{NO-BREAK SPACE}%"
    assert percent(None) == "–"


def test_change_has_a_sign():
    assert change(0.5, 0.25, digits=2) == "\N{MINUS SIGN}0.25"
    assert change(1, 1.5, digits=1) == "+0.5"


@pytest.mark.parametrize(("seconds", "text"), [(0.44, "0.4 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_shares_are_written_as_percentages():
    assert format_score("identification_top1", 0.5) == "50.0\N{NO-BREAK SPACE}%"
    assert format_score("mse", 0.5) == "0.5"
