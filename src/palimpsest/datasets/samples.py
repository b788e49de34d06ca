"""Labeled samples of any kind: what proofs can be made of."""

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from palimpsest.errors import DatasetError
from palimpsest.storage import tensor_hash


class SampleSet(ABC):
    """Base of labeled samples in memory: a subclass is a frozen dataclass, names its tensor in `field`, and says in
    `kind` what its samples are."""

    field: ClassVar[str]
    kind: ClassVar[str]
    name: str
    labels: Tensor
    classes: int

    @property
    def inputs(self) -> Tensor:
        """What a network takes, `[n, *shape]`."""
        return getattr(self, self.field)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> Self:
        """Copy some samples, in the order given.

        Args:
            indices: Rows, `[m]` int64; a row may come twice.

        Raises:
            DatasetError: A row that is not there.
        """
        if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < len(self):
            wrong = indices[(indices < 0) | (indices >= len(self))][0]
            raise DatasetError(f"{self.name} has no row {int(wrong)}: its rows are 0 to {len(self) - 1}.")
        myself: Any = self
        return replace(myself, **{self.field: self.inputs[indices], "labels": self.labels[indices]})

    @cached_property
    def fingerprint(self) -> str:
        """A hash of samples, labels and number of classes, in hexadecimal; the name does not matter."""
        return tensor_hash(self.inputs, self.labels, torch.tensor(self.classes))


def check_labels(labels: Tensor, classes: int, place: str) -> None:
    """Refuse labels outside 0 ... classes - 1.

    Args:
        labels: `[n]`, int64.
        classes: How many classes there are.
        place: What the message calls the set.

    Raises:
        DatasetError: Names the first wrong row and its label.
    """
    wrong = ((labels < 0) | (labels >= classes)).nonzero()
    if len(wrong):
        row = int(wrong[0])
        raise DatasetError(
            f"Row {row} of {place} has label {int(labels[row])}, outside 0 to {classes - 1}: "
            "mend the label or leave the row out."
        )


def check_label_type(labels: Tensor, count: int, place: str) -> None:
    """Refuse labels of another type or number than the samples.

    Args:
        labels: Expected to be int64 `[count]`.
        count: Samples.
        place: What the message calls the set.

    Raises:
        DatasetError: They are something else.
    """
    if labels.dtype != torch.int64 or labels.shape != (count,):
        raise DatasetError(
            f"{place} has labels of type {labels.dtype} and shape {list(labels.shape)}: "
            f"give int64 of shape [{count}], one for each sample."
        )
