"""Samples other than images as readable text: rows as a table, tokens as words if there is a vocabulary."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from palimpsest.datasets import RowSet, SampleSet
from palimpsest.errors import DatasetError
from palimpsest.storage import write_text


@dataclass(frozen=True)
class SampleTable:
    """Formats samples as text.

    Args:
        samples: Samples of the same kind.
        words: The word of each token; empty without a vocabulary.
    """

    samples: SampleSet
    words: tuple[str, ...] = ()

    @property
    def header(self) -> list[str]:
        """Names of the columns: those of the rows, or `tokens` and, with a vocabulary, `text`."""
        if isinstance(self.samples, RowSet):
            return list(self.samples.columns)
        return ["tokens", "text"] if self.words else ["tokens"]

    def cells(self, inputs: Tensor) -> list[list[str]]:
        """Format each sample as a list of texts, one for each column.

        Args:
            inputs: Rows `[n, features]` or tokens `[n, length]`.

        Raises:
            DatasetError: A token has no word.
        """
        if isinstance(self.samples, RowSet):
            return [[f"{value:.6g}" for value in row] for row in inputs.tolist()]
        tokens = [[int(token) for token in row] for row in inputs.tolist()]
        if not self.words:
            return [[" ".join(map(str, row))] for row in tokens]
        highest = max(map(max, tokens), default=0)
        if highest >= len(self.words):
            raise DatasetError(
                f"The vocabulary has {len(self.words):,} lines, but the samples contain token {highest:,}. Provide a "
                "line for each token."
            )
        return [[" ".join(map(str, row)), " ".join(self.words[token] for token in row)] for row in tokens]

    def write(self, path: Path, inputs: Tensor) -> None:
        """Write samples to a CSV file, one line each.

        Args:
            path: The file to write.
            inputs: Rows `[n, features]` or tokens `[n, length]`.

        Raises:
            DatasetError: A token has no word.
        """
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(self.header)
        lines.writerows(self.cells(inputs))
        write_text(path, text.getvalue())


def read_vocabulary(path: Path | None) -> tuple[str, ...]:
    """Read the word of each token.

    Args:
        path: A UTF-8 text file with one word per line, in the order of the tokens' numbers. None means no words.

    Returns:
        The words, by token number; empty without a vocabulary.

    Raises:
        DatasetError: The file can't be read.
    """
    if path is None:
        return ()
    try:
        # str.splitlines would also split at Unicode line separators, which may be words of the vocabulary.
        return tuple(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"The vocabulary {path} can't be read ({error}). Provide a text file in UTF-8."
        ) from error
