"""Groups of forgotten samples that share one proof: the mean of their gradient differences."""

import json
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.storage import Record


@dataclass(frozen=True)
class Groups(Record):
    """Division of the forgotten samples into groups. It is private: an attack sees only the sizes.

    Args:
        rows: Rows of the training set, in the order of the forgotten samples, `[n]` int64.
        group: Number of the group of each forgotten sample, `[n]` int64; every number from 0 occurs.
    """

    rows: Tensor
    group: Tensor

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of samples behind each proof, in the order of the proofs."""
        return tuple(self.group.bincount().tolist())

    def members(self, number: int) -> Tensor:
        """Return the places, in the order of the forgotten samples, of a group's members, int64."""
        return (self.group == number).nonzero().flatten()


def make_groups(
    rows: Tensor,
    owner: Tensor,
    *,
    granularity: str,
    group_size: int | None = None,
    generator: Generator,
) -> Groups:
    """Divide the forgotten samples into groups.

    A client's samples are shuffled and divided into groups of `group_size`; the last one also takes the remainder, so
    that no proof is the mean of fewer samples, unless the client forgot fewer.

    Args:
        rows: Forgotten rows of the training set, `[n]` int64.
        owner: Client that holds each of them, `[n]` int64.
        granularity: `sample` gives each sample a group of its own, `client` divides the samples of each client, and
            `federation` makes a single group.
        group_size: Samples in a group of a client. If omitted, all of the client's.
        generator: Shuffles each client's samples.

    Returns:
        The groups, in the order of the clients.
    """
    count = len(rows)
    if granularity == "sample":
        return Groups(rows, torch.arange(count))
    if granularity == "federation":
        return Groups(rows, torch.zeros(count, dtype=torch.int64))
    group, first = torch.empty(count, dtype=torch.int64), 0
    for client in owner.unique(sorted=True):
        places = (owner == client).nonzero().flatten()
        places = places[torch.randperm(len(places), generator=generator)]
        size = len(places) if group_size is None else group_size
        groups = max(1, len(places) // size)
        group[places] = first + (torch.arange(len(places)) // size).clamp(max=groups - 1)
        first += groups
    return Groups(rows, group)


def describe_groups(groups: Groups, granularity: str) -> dict[str, str]:
    """Return the proofs' metadata about the groups: their granularity and sizes, which are public.

    Args:
        groups: The groups.
        granularity: As in `make_groups`.
    """
    return {"granularity": granularity, "group_sizes": json.dumps(groups.sizes)}
