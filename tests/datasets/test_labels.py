from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.datasets.labels import number_labels
from palimpsest.errors import DatasetError

NAMES = ("cat", "dog", "emu")


def column(values: Any, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


@given(
    st.lists(st.integers(0, 2**16 - 1), min_size=1), st.sampled_from((pa.uint16(), pa.int32(), pa.uint64()))
)
def test_numbers_stay_as_they_are(numbers: list[int], kind: pa.DataType) -> None:
    assert number_labels(column(numbers, kind), NAMES, "here").tolist() == numbers


@given(st.permutations(NAMES), st.lists(st.sampled_from(NAMES), min_size=1))
def test_names_get_their_position(names: list[str], labels: list[str]) -> None:
    expected = [names.index(label) for label in labels]
    assert number_labels(column(labels), names, "here").tolist() == expected
    # The order of a categorical column is its tool's, not the model's.
    assert number_labels(column(labels).dictionary_encode(), names, "here").tolist() == expected


def test_booleans_are_0_and_1() -> None:
    assert number_labels(column([True, False]), (), "here").tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "names", "words"),
    [
        ([[0, 2], [1]], (), "several labels in a row.*multi-label"),
        ([[0, 1, 0], [1, 0, 0]], NAMES, "several labels in a row.*multi-label"),
        ([{"cat": 1, "dog": 0}], NAMES, "multi-label"),
        (["cat", "cat|dog"], NAMES, "'cat|dog' in row 1, several labels"),
        (["0 3"], (), "several labels"),
        ([0.0, 1.0], (), "regression.*store them as integers from 0\\."),
        ([0.5, None], (), "regression.*fill in the 1 missing"),
        (["cat"], (), "label 'cat' in row 0, and it is unknown which number.*Set --class-names"),
        (["cat", "fox"], NAMES, "'fox' in row 1.*not one of the classes cat, dog, emu"),
        ([0, None], (), "no label in row 1"),
        ([0, -1], (), "label -1 in row 1"),
        ([2**16], (), "label 65536 in row 0"),
        ([b"cat"], NAMES, "must hold a class number from 0, or a class name"),
    ],
)
def test_refuses_what_is_no_single_class(values: Any, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(DatasetError, match=f"^here .*{words}"):
        number_labels(column(values), names, "here")
