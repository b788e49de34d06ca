"""Class numbers from a column of labels, which may hold numbers or names."""

import re
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from palimpsest.datasets.arrow import pa, pc
from palimpsest.errors import DatasetError

MOST_CLASSES = 2**16
_LONGEST = 100
_ONE_LABEL = (
    "Proofs are gradients of the cross-entropy of one label, so multi-label samples are not supported. Give each row "
    "the number of one class."
)
_SEPARATORS = re.compile(r"[\s,;|\[\]()]+")


def _row(row: int) -> str:
    return f"row {row}"


def number_labels(
    column: "pa.ChunkedArray", names: Sequence[str], place: str, *, locate: Callable[[int], str] = _row
) -> Tensor:
    """Return the class numbers of a column.

    Args:
        column: One label for each row: integers from 0, booleans (0 and 1), or class names.
        names: Names of the classes in order, which number a column of names. If empty, such a column is an error.
        place: The column in messages, such as "The column 'label' of rows.csv".
        locate: Returns the place of a row in messages, such as "row 0" or "line 2".

    Returns:
        `[n]`, int64, from 0 to 65,535.

    Raises:
        DatasetError: A row has no label or several ones, labels are real numbers as in a regression, a name has no
            number, or a number is out of range.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        # The order in which a tool lists its categories is not the model's.
        column, kind = pc.cast(column, kind.value_type), kind.value_type
    described = f"{place} has type {str(kind)[:_LONGEST]}"
    if pa.types.is_nested(kind):
        raise DatasetError(f"{described}, several labels in a row. {_ONE_LABEL}")
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        raise refuse_real_numbers(place, str(kind), missing=column.null_count)
    if column.null_count:
        row = int(column.is_null().to_numpy().argmax())
        raise DatasetError(f"{place} has no label in {locate(row)}. Add the label or remove the row.")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return look_up_classes(column.to_pylist(), names, place, locate=locate)
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise DatasetError(f"{described}. It must hold a class number from 0, or a class name, in every row.")
    numbers = pc.cast(column, pa.uint8()) if pa.types.is_boolean(kind) else column
    ends = [end.as_py() for end in pc.min_max(numbers).values()] if len(numbers) else []
    if not all(0 <= end < MOST_CLASSES for end in ends):
        check_class_numbers(numbers.to_pylist(), place, locate=locate)
    return torch.from_numpy(pc.cast(numbers, pa.int64()).to_numpy().copy())


def check_class_numbers(numbers: Iterable[int], place: str, *, locate: Callable[[int], str] = _row) -> None:
    """Refuse numbers that no class can have.

    Args:
        numbers: One number for each row.
        place: As for `number_labels`.
        locate: As for `number_labels`.

    Raises:
        DatasetError: A number is negative or above 65,535.
    """
    for row, label in enumerate(numbers):
        if not 0 <= label < MOST_CLASSES:
            raise DatasetError(
                f"{place} has the label {label} in {locate(row)}. Number the classes from 0 to at most "
                f"{MOST_CLASSES - 1:,}."
            )


def refuse_real_numbers(place: str, kind: str, *, missing: int = 0) -> DatasetError:
    """Return the error for labels that are real numbers.

    Args:
        place: As for `number_labels`.
        kind: Name of the type of the labels.
        missing: Number of rows without a label.
    """
    fill_in = f" and fill in the {missing:,} missing ones" if missing else ""
    return DatasetError(
        f"{place} has type {kind[:_LONGEST]}, as targets of a regression have, for which there are no proofs. If the "
        f"numbers are classes, store them as integers from 0{fill_in}."
    )


def look_up_classes(
    labels: Sequence[str], names: Sequence[str], place: str, *, locate: Callable[[int], str] = _row
) -> Tensor:
    """Return the class numbers of class names.

    Args:
        labels: One name for each row.
        names: As for `number_labels`.
        place: As for `number_labels`.
        locate: As for `number_labels`.

    Returns:
        `[n]`, int64.

    Raises:
        DatasetError: A name has no number.
    """
    numbers = {name: number for number, name in enumerate(names)}
    unknown = next(((row, label) for row, label in enumerate(labels) if label not in numbers), None)
    if unknown is None:
        return torch.tensor([numbers[label] for label in labels], dtype=torch.int64)
    row, label = unknown
    shown = repr(label[:_LONGEST])
    parts = [part for part in _SEPARATORS.split(label) if part]
    if len(parts) > 1 and all(part.isdecimal() or part in numbers for part in parts):
        raise DatasetError(f"{place} has the label {shown} in {locate(row)}, several labels. {_ONE_LABEL}")
    if names:
        listed = ", ".join(names[:20])[:200] + (", ..." if len(names) > 20 else "")
        raise DatasetError(
            f"{place} has the label {shown} in {locate(row)}, which is not one of the classes {listed}. Correct "
            "the label, or set --class-names to the names of all classes in the model's order."
        )
    row, label = next(((row, label) for row, label in enumerate(labels) if not label.isdecimal()), unknown)
    raise DatasetError(
        f"{place} has the label {label[:_LONGEST]!r} in {locate(row)}, and it is unknown which number it has. Set "
        "--class-names to the names of all classes in the model's order, or store class numbers from 0."
    )
