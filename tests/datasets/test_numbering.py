import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.datasets.numbering import Numbering, compare_numberings
from palimpsest.errors import ProofError


@given(st.lists(st.text(), min_size=1, unique=True))
def test_metadata_keep_the_names_and_their_origin(names: list[str]) -> None:
    numbering = Numbering(tuple(names), "class_names")
    assert Numbering.from_metadata(numbering.to_metadata()) == numbering


def test_metadata_without_names_have_no_numbering() -> None:
    assert Numbering.from_metadata({"loss": "cross_entropy"}) is None


@pytest.mark.parametrize("text", ["cat", "[]", '{"cat": 0}', '["cat", 1]', '["cat", "cat"]', "[" * 100_000])
def test_rejects_malformed_claims(text: str) -> None:
    with pytest.raises(ProofError, match="not a JSON list of distinct names"):
        Numbering.from_metadata({"classes": text})


def test_compares_side_by_side_and_shows_differences_first() -> None:
    left = [f"class{number}" for number in range(40)]
    right = [*left[:30], "fox\x1b", *left[31:38]]
    lines = compare_numberings(left, right, titles=("proofs", "samples")).splitlines()
    assert lines[0].split() == ["number", "proofs", "samples"]
    assert any(line.split()[:2] == ["30", "class30"] and "fox" in line for line in lines)
    assert lines[-2].split() == ["39", "class39", "-"]
    assert lines[-1].strip() == "... and 28 more"
    assert "\x1b" not in "".join(lines)
    assert json.dumps(lines)
