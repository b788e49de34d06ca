"""Samples other than images: rows of a table and sequences of tokens."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from palimpsest.datasets.samples import SampleSet, check_label_type, check_labels
from palimpsest.errors import DatasetError

_MOST_TOKENS, _LONGEST = 2**20, 200


@dataclass(frozen=True, eq=False)
class RowSet(SampleSet):
    """Labeled feature vectors, at the scale that the network takes.

    Attributes:
        name: Name of the set in messages.
        rows: `[n, features]`, float32, finite, of any scale.
        labels: `[n]`, int64 from 0 to `classes - 1`.
        classes: Number of classes.
        columns: Names of the features, in order.

    Raises:
        DatasetError: A type, shape, value or label is not as described; the message names the first wrong row.
    """

    field: ClassVar[str] = "rows"
    kind: ClassVar[str] = "rows of a table"
    name: str
    rows: Tensor
    labels: Tensor
    classes: int
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        """Validate rows and labels."""
        if (
            self.rows.dtype != torch.float32
            or self.rows.shape[1:] != (len(self.columns),)
            or not self.columns
        ):
            raise DatasetError(
                f"{self.name} has rows of type {self.rows.dtype} and shape {list(self.rows.shape)}. Pass float32 of "
                f"shape [n, {len(self.columns)}], with a value for each column."
            )
        finite = self.rows.isfinite()
        if not finite.all():
            row, column = finite.logical_not().nonzero()[0].tolist()
            raise DatasetError(
                f"Row {row} of {self.name} has no finite number in the column {self.columns[column][:_LONGEST]!r}. "
                "Fill in the value or remove the row."
            )
        check_label_type(self.labels, len(self.rows), self.name)
        check_labels(self.labels, self.classes, self.name)

    @property
    def shape(self) -> tuple[int]:
        """Shape of one sample: the number of features."""
        return (len(self.columns),)


@dataclass(frozen=True, eq=False)
class TokenSet(SampleSet):
    """Labeled sequences of tokens, all of one length.

    Attributes:
        name: Name of the set in messages.
        tokens: `[n, length]`, int64 from 0 to 2^20 - 1, as embeddings have a row for each token up to the largest.
        labels: `[n]`, int64 from 0 to `classes - 1`.
        classes: Number of classes.

    Raises:
        DatasetError: A type, shape, token or label is not as described; the message names the first wrong row.
    """

    field: ClassVar[str] = "tokens"
    kind: ClassVar[str] = "sequences of tokens"
    name: str
    tokens: Tensor
    labels: Tensor
    classes: int

    def __post_init__(self) -> None:
        """Validate tokens and labels."""
        if self.tokens.dtype != torch.int64 or self.tokens.ndim != 2 or not self.tokens.shape[1]:
            raise DatasetError(
                f"{self.name} has tokens of type {self.tokens.dtype} and shape {list(self.tokens.shape)}. Pass int64 "
                "of shape [n, length], padded to one length."
            )
        wrong = ((self.tokens < 0) | (self.tokens >= _MOST_TOKENS)).any(dim=1).nonzero()
        if len(wrong):
            raise DatasetError(
                f"Row {int(wrong[0])} of {self.name} has a token outside 0 to {_MOST_TOKENS - 1:,}. Number the tokens, "
                "including padding, from 0."
            )
        check_label_type(self.labels, len(self.tokens), self.name)
        check_labels(self.labels, self.classes, self.name)

    @property
    def shape(self) -> tuple[int]:
        """Shape of one sample: the length of a sequence."""
        return (self.tokens.shape[1],)
