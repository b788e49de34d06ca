from dataclasses import replace

import torch

from palimpsest.datasets.copies import Copies
from palimpsest.datasets.overlap import Overlap

FOUND = Overlap(1000, 5000, exact=2, near=11, repeated=3, remaining=0, removed=True)


def mask(*rows: int) -> torch.Tensor:
    """A mask of 20 samples with these rows set."""
    return torch.isin(torch.arange(20), torch.tensor(rows))


def test_copies_are_described_with_their_treatment() -> None:
    assert FOUND.copied == 13
    assert FOUND.sentences() == [
        "Of the 1,000 images for the auxiliary and held-out sets, 2 are identical to a client's training image and 11 "
        "nearly so; 3 more repeat another one. They are not used (data.auxiliary_overlap is remove)."
    ]
    (kept,) = replace(FOUND, near=None, remaining=2, removed=False).sentences()
    assert kept == (
        "Of the 1,000 images for the auxiliary and held-out sets, 2 are identical to a client's training image and 0 "
        "nearly so; 3 more repeat another one. They are used (data.auxiliary_overlap is keep), and the attacker has 2 "
        "copies of clients' images, so the scores of the same images are too optimistic."
    )


def test_nothing_is_said_without_copies() -> None:
    assert replace(FOUND, exact=0, near=0, repeated=0).sentences() == []
    assert replace(FOUND, exact=0, near=None, repeated=0).sentences() == []
    assert replace(FOUND, exact=0, near=0).sentences() != []


def test_copies_are_counted() -> None:
    copies = Copies(mask(1, 4), mask(6), mask(9, 10, 11))
    found = Overlap.of(copies, compared=50, removed=True)
    assert found == Overlap(20, 50, exact=2, near=1, repeated=3, remaining=0, removed=True)
    assert Overlap.of(copies, compared=50, removed=False).remaining == 3
    assert Overlap.of(copies, compared=50, removed=False, held=5).remaining == 2
    assert Overlap.of(copies, compared=50, removed=False, held=0).remaining == 0


def test_further_samples_are_added() -> None:
    more = Overlap(20, 5000, exact=2, near=1, repeated=4, remaining=3, removed=True)
    assert FOUND + more == Overlap(1020, 5000, exact=4, near=12, repeated=7, remaining=3, removed=True)
    assert (FOUND + replace(more, near=None)).near is None
    assert (replace(FOUND, near=None) + more).near is None
    undecided = Overlap.of(Copies(mask(1), None, mask()), compared=5, removed=True)
    assert undecided.near is None
    assert undecided.copied == 1
