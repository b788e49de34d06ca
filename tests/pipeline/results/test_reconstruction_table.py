from pathlib import Path

import pytest
import torch

from palimpsest.datasets import RowSet, TokenSet
from palimpsest.errors import DatasetError
from palimpsest.pipeline.results.reconstruction_table import SampleTable, read_vocabulary

ONE = torch.zeros(1, dtype=torch.int64)
ROWS = RowSet("table", torch.tensor([[1.5, -2.25]]), ONE, 1, ("age", "a, b"))
TOKENS = TokenSet("text", torch.tensor([[1, 0, 2]]), ONE, 1)
WORDS = ("the", 'say "cat"', "sat")


def test_rows_have_six_digits_and_their_column_names() -> None:
    table = SampleTable(ROWS)
    assert table.header == ["age", "a, b"]
    assert table.cells(torch.tensor([[1 / 3, 1e7]])) == [["0.333333", "1e+07"]]


def test_tokens_are_numbers_and_with_a_vocabulary_words() -> None:
    assert SampleTable(TOKENS).header == ["tokens"]
    assert SampleTable(TOKENS).cells(TOKENS.tokens) == [["1 0 2"]]
    table = SampleTable(TOKENS, WORDS)
    assert table.header == ["tokens", "text"]
    assert table.cells(TOKENS.tokens) == [["1 0 2", 'say "cat" the sat']]
    assert table.cells(torch.empty(0, 3)) == []


def test_rejects_a_token_without_a_word() -> None:
    with pytest.raises(DatasetError, match="2 lines, but the samples contain token 2"):
        SampleTable(TOKENS, WORDS[:2]).cells(TOKENS.tokens)


def test_writes_csv(tmp_path: Path) -> None:
    SampleTable(ROWS).write(tmp_path / "rows.csv", ROWS.rows)
    assert (tmp_path / "rows.csv").read_text() == 'age,"a, b"\n1.5,-2.25\n'
    SampleTable(TOKENS, WORDS).write(tmp_path / "text.csv", TOKENS.tokens)
    assert (tmp_path / "text.csv").read_text() == 'tokens,text\n1 0 2,"say ""cat"" the sat"\n'


def test_a_vocabulary_has_a_word_on_each_line(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    # A Unicode line separator is a word and does not end the line.
    path.write_text("the\n\N{LINE SEPARATOR}\n\nsat\n", encoding="utf-8")
    assert read_vocabulary(path) == ("the", "\N{LINE SEPARATOR}", "", "sat")
    assert read_vocabulary(None) == ()


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_rejects_an_unreadable_vocabulary(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"words\.txt can't be read"):
        read_vocabulary(path)
