"""Queries about groups of auxiliary images, for attacks on aggregated proofs."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.attacks.auditor_view import AuditorView
from palimpsest.attacks.learned.augmentation import Queries
from palimpsest.datasets import GroupSet, draw_groups


@dataclass(frozen=True)
class GroupQueries(Queries):
    """Groups of images for an oracle that answers with the mean gradient difference of a group.

    Args:
        images_uint8: Mean image of each group as 8-bit integers, `[m, channels, height, width]`: what is reconstructed.
        labels: All 0, `[m]` int64.
        groups: The groups.
    """

    groups: GroupSet

    def chunks(self, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the members and the labels of the groups `start` to `stop - 1`."""
        yield self.groups.members[start:stop], self.labels[start:stop]


def group_queries(
    view: AuditorView, per_image: int, *, validation: float, generator: Generator
) -> tuple[GroupQueries, Tensor, Tensor]:
    """Draw as many groups as an attack on single images makes queries, and split them for training and validation.

    There are more groups than images, so further groups take the place of varied images. No image is in a group of
    both parts.

    Args:
        view: The auditor's images, and the sizes of the groups behind the proofs.
        per_image: Groups for each auxiliary image.
        validation: Share of the auxiliary images whose groups are held out, in [0, 1).
        generator: Draws the groups.

    Returns:
        The queries, rows for training, and rows for validation. The latter are among the first `len(auxiliary)`.
    """
    auxiliary, sizes = view.auxiliary, view.group_sizes
    count = len(auxiliary)
    order, held_out = torch.randperm(count, generator=generator), int(count * validation)
    parts = [
        draw_groups(auxiliary, sizes, number, rows=rows, generator=generator)
        for rows, number in ((order[:held_out], held_out), (order[held_out:], count * per_image - held_out))
        if number
    ]
    groups = GroupSet.of(auxiliary, torch.cat([part.members for part in parts]))
    images_uint8 = (groups.mean_images() * 255).round().to(torch.uint8)
    rows = torch.arange(len(groups))
    return GroupQueries(images_uint8, groups.labels, groups), rows[held_out:], rows[:held_out]
