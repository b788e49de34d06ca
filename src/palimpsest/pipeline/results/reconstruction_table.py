"""Samples that are not images, as people read them: a table, in words where tokens have some."""

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
    """Writes samples as text.

    Args:
        samples: Samples of the same kind.
        words: The word of each token; empty without a vocabulary.
    """

    samples: SampleSet
    words: tuple[str, ...] = ()

    @property
    def header(self) -> list[str]:
        """The columns' names: those of the rows, or `tokens` and, with a vocabulary, `text`."""
        if isinstance(self.samples, RowSet):
            return list(self.samples.columns)
        return ["tokens", "text"] if self.words else ["tokens"]

    def cells(self, inputs: Tensor) -> list[list[str]]:
        """Samples as text, a list for each.

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
                f"The vocabulary has {len(self.words):,} lines and there is a token {highest:,}: give a line for each "
                "token."
            )
        return [[" ".join(map(str, row)), " ".join(self.words[token] for token in row)] for row in tokens]

    def write(self, path: Path, inputs: Tensor) -> None:
        """Write samples as CSV, a line for each.

        Args:
            path: The file.
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
    """The word of each token.

    Args:
        path: A text file with a token on each line, in the order of their numbers; None has no words.

    Raises:
        DatasetError: The file can't be read.
    """
    if path is None:
        return ()
    try:
        # Not splitlines: a vocabulary has tokens that are line breaks to Unicode alone.
        return tuple(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"The vocabulary {path} can't be read ({error}): give a text file in UTF-8."
        ) from error
