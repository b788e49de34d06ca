"""Reconstructions that are no images, as people read them: a table, in words where the tokens have some."""

import csv
import io
from pathlib import Path

from torch import Tensor

from palimpsest.datasets import RowSet, SampleSet
from palimpsest.errors import DatasetError
from palimpsest.pipeline.results.attack_outcome import CaseResults
from palimpsest.storage import write_text


def write_reconstructions(folder: Path, results: CaseResults, vocabulary: Path | None) -> None:
    """Write `reconstructions.csv`: a line for each proof; the columns of the table, or `tokens` and, in words, `text`.

    Args:
        folder: The run folder.
        results: The case's.
        vocabulary: A text file with a token on each line, in the order of their numbers; none for none.

    Raises:
        DatasetError: The vocabulary can't be read, or lacks a token.
    """
    samples = results.pieces.auxiliary
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    words = read_vocabulary(vocabulary)
    lines.writerow(header(samples, words))
    lines.writerows(cells(samples, results.audited.reconstruction.images, words))
    write_text(folder / "reconstructions.csv", text.getvalue())


def header(samples: SampleSet, words: list[str]) -> list[str]:
    """What the columns of `cells` are called."""
    if isinstance(samples, RowSet):
        return list(samples.columns)
    return ["tokens", "text"] if words else ["tokens"]


def cells(samples: SampleSet, inputs: Tensor, words: list[str]) -> list[list[str]]:
    """Samples as text, a list for each.

    Args:
        samples: Of which kind they are.
        inputs: Rows `[n, features]` or tokens `[n, length]`.
        words: By token; empty for none.

    Raises:
        DatasetError: A token has no word.
    """
    if isinstance(samples, RowSet):
        return [[f"{value:.6g}" for value in row] for row in inputs.tolist()]
    numbers = [[int(token) for token in row] for row in inputs.tolist()]
    if not words:
        return [[" ".join(map(str, row))] for row in numbers]
    highest = max(map(max, numbers), default=0)
    if highest >= len(words):
        raise DatasetError(
            f"The vocabulary has {len(words):,} lines and there is a token {highest:,}: give a line for each token."
        )
    return [[" ".join(map(str, row)), " ".join(words[token] for token in row)] for row in numbers]


def read_vocabulary(path: Path | None) -> list[str]:
    """The words by token, or none.

    Raises:
        DatasetError: The file can't be read.
    """
    if path is None:
        return []
    try:
        # Not splitlines: a vocabulary has tokens that are line breaks to Unicode alone.
        return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"The vocabulary {path} can't be read ({error}): give a text file in UTF-8."
        ) from error
