"""Copies of samples: identical samples, and nearly identical images."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import torch
import torch.nn.functional as F
from torch import Tensor

from palimpsest.datasets.images import ImageSet
from palimpsest.datasets.samples import SampleSet

SMALLEST_SIDE = 8
"""Smallest side in pixels of images of which nearly identical ones are looked for."""
NEIGHBORS = 5
_RATIO, _CORRELATION = 0.1, 0.9
_SIDE = 8
_ROUNDING = 1e-6
_BLOCK = 2**24
"""Largest number of similarities in memory at once."""


@dataclass(frozen=True)
class Copies:
    """Samples that are copies.

    Args:
        exact: Whether each sample is identical to one of the others, bool `[n]`.
        near: Whether each sample is not identical but nearly identical to one of the others, bool `[n]`; None if it
            can't be decided, because the samples are not images, are smaller than 8 x 8 pixels, or are too few.
        repeated: Whether each sample is no copy of the others, but identical or nearly identical to an earlier sample,
            bool `[n]`.
    """

    exact: Tensor
    near: Tensor | None
    repeated: Tensor

    @property
    def rows(self) -> Tensor:
        """Whether each sample is identical or nearly identical to one of the others, bool `[n]`."""
        return self.exact if self.near is None else self.exact | self.near

    @property
    def unique(self) -> Tensor:
        """Numbers of the samples that are neither copies nor repeated, int64, ascending."""
        return (~self.rows & ~self.repeated).nonzero().flatten()


def find_copies(samples: SampleSet, others: SampleSet) -> Copies:
    """Find the samples that are also among others, and those that repeat an earlier sample.

    Two images are nearly identical if their gray thumbnails of 8 x 8 pixels have a correlation r above 0.9, and 1 - r,
    which is half their squared distance, is less than a tenth of the value of the fifth nearest of all images. Images
    are also compared with mirror images. The ratio, which is that of Lowe's matching of features (2004, section 7.1),
    makes the rule independent of how similar the images of a set are in general: most handwritten digits have a
    correlation above 0.9 with another one, but hardly any has one that is much closer than four more.

    Args:
        samples: The samples to examine, n of them.
        others: The samples that they are compared with, of the same shape.
    """
    known = {_digest(sample) for sample in others.inputs}
    digests = [_digest(sample) for sample in samples.inputs]
    exact = torch.tensor([digest in known for digest in digests], dtype=torch.bool)
    first = {digest: row for row, digest in reversed(list(enumerate(digests)))}
    repeated = torch.tensor([first[digest] < row for row, digest in enumerate(digests)], dtype=torch.bool)
    if not _comparable(samples, others):
        return Copies(exact, None, repeated & ~exact)
    near, near_repeated = _find_near(samples.inputs, others.inputs)
    near &= ~exact
    return Copies(exact, near, (repeated | near_repeated) & ~exact & ~near)


def _digest(sample: Tensor) -> bytes:
    return blake2b(sample.numpy().tobytes(), digest_size=16).digest()


def _comparable(samples: SampleSet, others: SampleSet) -> bool:
    return (
        isinstance(samples, ImageSet)
        and isinstance(others, ImageSet)
        and min(samples.shape[1:]) >= SMALLEST_SIDE
        and len(samples) + len(others) > NEIGHBORS
    )


def _find_near(images: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Return whether each image is nearly identical to one of the others, and to an earlier image, bool `[n]` each."""
    near, repeated = torch.zeros(2, len(images), dtype=torch.bool).unbind()
    columns = torch.arange(len(images))
    everything = torch.cat([_thumbnails(others), _thumbnails(images)])
    for mirrored in (False, True):
        queries = _thumbnails(images, mirrored=mirrored)
        for start, similarities in _similarities(queries, everything):
            rows = columns[start : start + len(similarities)]
            # Otherwise an image would repeat itself.
            similarities[torch.arange(len(rows)), len(others) + rows] = -1
            earlier = similarities[:, len(others) :].masked_fill(columns > rows[:, None], -1)
            near[rows] |= _stands_out(similarities[:, : len(others)], similarities)
            repeated[rows] |= _stands_out(earlier, similarities)
    return near, repeated


def _thumbnails(images: Tensor, *, mirrored: bool = False) -> Tensor:
    """Return gray thumbnails with mean 0 and norm 1, `[n, 64]`, so that products are correlations.

    An image of one brightness has no direction: its thumbnail is zero, which correlates with nothing.
    """
    parts = [torch.empty(0, _SIDE * _SIDE)]
    for chunk in torch.split(images, 4096):
        small = F.adaptive_avg_pool2d(chunk.mean(dim=1, keepdim=True), _SIDE)
        pixels = (small.flip(-1) if mirrored else small).flatten(1)
        centered = pixels - pixels.mean(dim=1, keepdim=True)
        norms = centered.norm(dim=1, keepdim=True)
        parts.append(torch.where(norms > _ROUNDING, centered / norms, 0.0))
    return torch.cat(parts)


def _similarities(queries: Tensor, thumbnails: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield the first row of each block of queries, and the block's correlations with all thumbnails."""
    size = max(1, _BLOCK // len(thumbnails))
    # A buffer that is used again is twice as fast as new memory for each block.
    buffer = torch.empty(min(size, len(queries)), len(thumbnails))
    for first in range(0, len(queries), size):
        block = queries[first : first + size]
        yield first, torch.mm(block, thumbnails.T, out=buffer[: len(block)])


def _stands_out(candidates: Tensor, similarities: Tensor) -> Tensor:
    """Return for each row whether the nearest candidate is far nearer than the fifth of all images.

    Args:
        candidates: Correlations with the candidates, `[b, k]`; k may be 0.
        similarities: Correlations with all images, `[b, m]`.
    """
    if not candidates.shape[1]:
        return torch.zeros(len(candidates), dtype=torch.bool)
    nearest = candidates.amax(dim=1)
    found = nearest > _CORRELATION
    fifth = similarities[found].topk(NEIGHBORS, dim=1).values[:, -1]
    distance = (1 - nearest[found]).clamp(min=_ROUNDING)
    found[found.clone()] = distance < _RATIO * (1 - fifth)
    return found
