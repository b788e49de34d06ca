"""The numbering of classes: their names in order, and where the order comes from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from palimpsest.display import escape_control_characters
from palimpsest.errors import ProofError

_NAMES, _ORIGIN = "classes", "classes_from"
_SHOWN, _LONGEST = 12, 60


@dataclass(frozen=True)
class Numbering:
    """Names of the classes in the order of their numbers, from 0.

    Args:
        names: Distinct names.
        origin: Where the order comes from, as a noun phrase such as `class_names`.
    """

    names: tuple[str, ...]
    origin: str

    def to_metadata(self) -> dict[str, str]:
        """Return the metadata of a proof file that record this numbering."""
        return {_NAMES: json.dumps(self.names), _ORIGIN: self.origin}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Self | None:
        """Read the numbering that a proof file records.

        Args:
            metadata: Claims of the proofs' sender.

        Returns:
            The numbering, or None if none is recorded.

        Raises:
            ProofError: What is recorded is not a list of distinct names.
        """
        if _NAMES not in metadata:
            return None
        try:
            names = json.loads(metadata[_NAMES])
        except (ValueError, RecursionError):
            names = None
        if (
            not isinstance(names, list)
            or not names
            or not all(isinstance(name, str) for name in names)
            or len(set(names)) < len(names)
        ):
            raise ProofError(
                f"The proofs' metadata {_NAMES!r} is {metadata[_NAMES][:80]!r}, not a JSON list of distinct names. Ask "
                "their sender for the names of all classes in the model's order."
            )
        return cls(tuple(names), metadata.get(_ORIGIN, "unknown"))


def compare_numberings(left: Sequence[str], right: Sequence[str], *, titles: tuple[str, str]) -> str:
    """Return a table with the names of each number side by side; rows that differ come first.

    Args:
        left: Names in the order of one numbering.
        right: Names in the order of another numbering.
        titles: Headings of the two columns.
    """
    rows = [
        tuple(_cell(names, number) for names in (left, right)) for number in range(max(len(left), len(right)))
    ]
    order = sorted(range(len(rows)), key=lambda number: rows[number][0] == rows[number][1])
    shown = sorted(order[:_SHOWN])
    width = max(len(titles[0]), *(len(rows[number][0]) for number in shown))
    lines = [f"  number  {titles[0]:<{width}}  {titles[1]}"]
    lines += [f"  {number:>6}  {rows[number][0]:<{width}}  {rows[number][1]}" for number in shown]
    if len(rows) > len(shown):
        lines.append(f"  ... and {len(rows) - len(shown):,} more")
    return "\n".join(lines)


def _cell(names: Sequence[str], number: int) -> str:
    return escape_control_characters(names[number][:_LONGEST]) if number < len(names) else "-"
