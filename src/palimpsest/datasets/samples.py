"""Base class of labeled samples: images, rows of a table, sequences of tokens."""

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from palimpsest.errors import DatasetError
from palimpsest.storage import tensor_hash


class SampleSet(ABC):
    """Base class of labeled samples in memory.

    A subclass is a frozen dataclass. Its `field` names the attribute with the inputs, and its `kind` describes the
    samples in messages.
    """

    field: ClassVar[str]
    kind: ClassVar[str]
    name: str
    labels: Tensor
    classes: int

    @property
    def inputs(self) -> Tensor:
        """Inputs of a network, `[n, *shape]`."""
        return getattr(self, self.field)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.labels)

    def subset(self, indices: Tensor) -> Self:
        """Copy a selection of the samples.

        Args:
            indices: The rows to copy, `[m]` int64, in any order and with repetitions.

        Returns:
            A set of m samples, in the order of `indices`.

        Raises:
            DatasetError: A row does not exist.
        """
        if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < len(self):
            wrong = indices[(indices < 0) | (indices >= len(self))][0]
            raise DatasetError(f"{self.name} has no row {int(wrong)}. Its rows are 0 to {len(self) - 1}.")
        # The base class is not a dataclass itself, which a type checker does not accept in `replace`.
        instance: Any = self
        return replace(instance, **{self.field: self.inputs[indices], "labels": self.labels[indices]})

    @cached_property
    def fingerprint(self) -> str:
        """Hash of samples, labels and number of classes, in hexadecimal; the name is not part of it."""
        return tensor_hash(self.inputs, self.labels, torch.tensor(self.classes))


def check_labels(labels: Tensor, classes: int, place: str) -> None:
    """Check that all labels are from 0 to `classes - 1`.

    Args:
        labels: `[n]`, int64.
        classes: Number of classes.
        place: Name of the set in the error message.

    Raises:
        DatasetError: A label is out of range; the message names the first one and its row.
    """
    wrong = ((labels < 0) | (labels >= classes)).nonzero()
    if len(wrong):
        row = int(wrong[0])
        raise DatasetError(
            f"Row {row} of {place} has label {int(labels[row])}, outside 0 to {classes - 1}. "
            "Correct the label or remove the row."
        )


def check_label_type(labels: Tensor, count: int, place: str) -> None:
    """Check that there is one int64 label for each sample.

    Args:
        labels: The labels.
        count: Number of samples.
        place: Name of the set in the error message.

    Raises:
        DatasetError: The labels are not int64 of shape `[count]`.
    """
    if labels.dtype != torch.int64 or labels.shape != (count,):
        raise DatasetError(
            f"{place} has labels of type {labels.dtype} and shape {list(labels.shape)}. "
            f"Pass int64 of shape [{count}], one for each sample."
        )
