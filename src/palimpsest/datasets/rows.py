"""Samples that are no images: rows of a table, and sequences of tokens."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from palimpsest.datasets.samples import SampleSet, check_label_type, check_labels
from palimpsest.errors import DatasetError

_MOST_TOKENS, _LONGEST = 2**20, 200


@dataclass(frozen=True, eq=False)
class RowSet(SampleSet):
    """Labeled feature vectors, as the network takes them.

    Attributes:
        name: What messages call the set.
        rows: `[n, features]`, float32, finite, of any scale.
        labels: `[n]`, int64 in 0 ... classes - 1.
        classes: How many classes there are.
        columns: The features' names, in order.

    Raises:
        DatasetError: A type, shape, value or label that is not as above; a wrong row is named.
    """

    field: ClassVar[str] = "rows"
    kind: ClassVar[str] = "rows of a table"
    name: str
    rows: Tensor
    labels: Tensor
    classes: int
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        if (
            self.rows.dtype != torch.float32
            or self.rows.shape[1:] != (len(self.columns),)
            or not self.columns
        ):
            raise DatasetError(
                f"{self.name} has rows of type {self.rows.dtype} and shape {list(self.rows.shape)}: give float32 of "
                f"shape [n, {len(self.columns)}], a value for each column."
            )
        fine = self.rows.isfinite()
        if not fine.all():
            row, column = fine.logical_not().nonzero()[0].tolist()
            raise DatasetError(
                f"Row {row} of {self.name} has no finite number as {self.columns[column][:_LONGEST]!r}: fill the "
                "gap, or leave the row out."
            )
        check_label_type(self.labels, len(self.rows), self.name)
        check_labels(self.labels, self.classes, self.name)

    @property
    def shape(self) -> tuple[int]:
        """How many features."""
        return (len(self.columns),)


@dataclass(frozen=True, eq=False)
class TokenSet(SampleSet):
    """Labeled sequences of tokens, all of one length.

    Attributes:
        name: What messages call the set.
        tokens: `[n, length]`, int64 in 0 ... 2^20 - 1: tables are made with a row for each.
        labels: `[n]`, int64 in 0 ... classes - 1.
        classes: How many classes there are.

    Raises:
        DatasetError: A type, shape, token or label that is not as above; a wrong row is named.
    """

    field: ClassVar[str] = "tokens"
    kind: ClassVar[str] = "sequences of tokens"
    name: str
    tokens: Tensor
    labels: Tensor
    classes: int

    def __post_init__(self) -> None:
        if self.tokens.dtype != torch.int64 or self.tokens.ndim != 2 or not self.tokens.shape[1]:
            raise DatasetError(
                f"{self.name} has tokens of type {self.tokens.dtype} and shape {list(self.tokens.shape)}: give int64 "
                "of shape [n, length], padded to one length."
            )
        wrong = ((self.tokens < 0) | (self.tokens >= _MOST_TOKENS)).any(dim=1).nonzero()
        if len(wrong):
            raise DatasetError(
                f"Row {int(wrong[0])} of {self.name} has a token outside 0 to {_MOST_TOKENS - 1:,}: number them from "
                "0, padding included."
            )
        check_label_type(self.labels, len(self.tokens), self.name)
        check_labels(self.labels, self.classes, self.name)

    @property
    def shape(self) -> tuple[int]:
        """How many tokens in a sequence."""
        return (self.tokens.shape[1],)
