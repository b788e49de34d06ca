"""Groups of samples, each of which is answered by one vector: the mean of its members' gradient differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Generator, Tensor

from palimpsest.datasets.images import ImageSet
from palimpsest.datasets.samples import SampleSet
from palimpsest.storage import tensor_hash

EMPTY = -1
"""Row that fills the places of a group that is smaller than the largest one."""


@dataclass(frozen=True, eq=False)
class GroupSet(SampleSet):
    """Groups of the images of a pool.

    Attributes:
        name: Name of the set in messages.
        pool: The images.
        members: Rows of `pool` in each group, `[groups, largest size]` int64. A smaller group is filled with `EMPTY`.
        labels: `[groups]` int64, all 0, because a group has no label.
        classes: 1.
    """

    field: ClassVar[str] = "members"
    kind: ClassVar[str] = "groups of images"
    name: str
    pool: ImageSet
    members: Tensor
    labels: Tensor
    classes: int = 1

    @classmethod
    def of(cls, pool: ImageSet, members: Tensor) -> "GroupSet":
        """Make groups from the rows of their members.

        Args:
            pool: The images.
            members: As for the class.
        """
        return cls(pool.name, pool, members, torch.zeros(len(members), dtype=torch.int64))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return self.pool.shape

    @property
    def sizes(self) -> Tensor:
        """Number of members of each group, `[groups]` int64."""
        return (self.members != EMPTY).sum(1)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the images and of the members of each group, in hexadecimal."""
        return tensor_hash(self.members, self.pool.inputs, self.pool.labels)

    def mean_images(self) -> Tensor:
        """Return the mean image of each group, `[groups, channels, height, width]` in [0, 1]."""
        return torch.stack([self.pool.images[rows[rows != EMPTY]].mean(0) for rows in self.members])


def draw_groups(
    pool: ImageSet, sizes: Sequence[int], count: int, *, rows: Tensor | None = None, generator: Generator
) -> GroupSet:
    """Draw groups whose sizes follow those of given groups.

    Members are drawn with replacement. A group then varies like a group of new samples; without replacement, groups of
    nearly the size of the pool would be nearly equal to each other.

    Args:
        pool: The images.
        sizes: Sizes to imitate; the drawn groups take them in turn.
        count: Number of groups.
        rows: Rows of the pool to draw from, int64. If omitted, all rows.
        generator: Draws the members.

    Returns:
        The groups.
    """
    rows = torch.arange(len(pool)) if rows is None else rows
    largest = max(sizes)
    members = rows[torch.randint(len(rows), (count, largest), generator=generator)]
    wanted = torch.tensor(sizes).repeat(-(-count // len(sizes)))[:count]
    return GroupSet.of(pool, members.masked_fill(torch.arange(largest) >= wanted[:, None], EMPTY))


def split_groups(pool: ImageSet, sizes: Sequence[int], *, generator: Generator) -> GroupSet:
    """Divide images at random into groups whose sizes follow those of given groups; each image is in at most one.

    Args:
        pool: The images.
        sizes: Sizes to imitate, in turn.
        generator: Shuffles the images.

    Returns:
        As many whole groups as fit; there may be none.
    """
    order, taken, start = torch.randperm(len(pool), generator=generator), list[Tensor](), 0
    while start + (size := sizes[len(taken) % len(sizes)]) <= len(pool):
        taken.append(order[start : start + size])
        start += size
    members = torch.full((len(taken), max(sizes)), EMPTY)
    for row, chosen in enumerate(taken):
        members[row, : len(chosen)] = chosen
    return GroupSet.of(pool, members)
