"""Overlap of the attacker's samples with the clients': what was found, and what was done about it."""

from dataclasses import dataclass, replace
from typing import Self

from palimpsest.datasets.copies import Copies


@dataclass(frozen=True)
class Overlap:
    """Copies among the samples from which an audit takes the auxiliary, public and held-out ones.

    Args:
        examined: Number of these samples.
        compared: Number of the clients' samples that they were compared with.
        exact: Number of samples that are identical to a client's.
        near: Number of samples that are nearly identical to a client's; None if this can't be decided.
        repeated: Number of further samples that are identical or nearly identical to another examined one.
        remaining: Number of copies of a client's samples that the attacker has: 0 unless they were kept.
        removed: Whether the copies were left out.
    """

    examined: int
    compared: int
    exact: int
    near: int | None
    repeated: int
    remaining: int
    removed: bool

    @property
    def copied(self) -> int:
        """Number of samples that are identical or nearly identical to a client's."""
        return self.exact + (self.near or 0)

    @classmethod
    def of(cls, copies: Copies, *, compared: int, removed: bool, held: int | None = None) -> Self:
        """Count copies.

        Args:
            copies: The copies among the examined samples.
            compared: Number of the clients' samples that they were compared with.
            removed: Whether they were left out.
            held: Number of the first samples that the attacker has if they were not; None means all.
        """
        return cls(
            examined=len(copies.exact),
            compared=compared,
            exact=int(copies.exact.sum()),
            near=None if copies.near is None else int(copies.near.sum()),
            repeated=int(copies.repeated.sum()),
            remaining=0 if removed else int(copies.rows[:held].sum()),
            removed=removed,
        )

    def __add__(self, other: Self) -> Self:
        """Add the copies among further samples that were compared with the same samples of the clients."""
        return replace(
            self,
            examined=self.examined + other.examined,
            exact=self.exact + other.exact,
            near=None if self.near is None or other.near is None else self.near + other.near,
            repeated=self.repeated + other.repeated,
            remaining=self.remaining + other.remaining,
        )

    def sentences(self) -> list[str]:
        """Describe the copies for the report and the terminal; empty if there are none."""
        if not self.copied and not self.repeated:
            return []
        found = (
            f"Of the {self.examined:,} images for the auxiliary and held-out sets, {self.exact:,} are identical to a "
            f"client's training image and {self.near or 0:,} nearly so; {self.repeated:,} more repeat another one."
        )
        if self.removed:
            return [f"{found} They are not used (data.auxiliary_overlap is remove)."]
        return [
            f"{found} They are used (data.auxiliary_overlap is keep), and the attacker has {self.remaining:,} copies "
            "of clients' images, so the scores of the same images are too optimistic."
        ]
