import torch
from tests.support.images import random_image_set
from tests.support.warnings import Warnings

from palimpsest.pipeline.stages.overlap import describe_known_samples, find_known_samples
from palimpsest.progress import with_callbacks


def test_forgotten_samples_that_the_attacker_had_are_found_and_announced() -> None:
    truth, auxiliary = random_image_set(9, seed=1), random_image_set(30)
    auxiliary.images[[3, 8]] = truth.images[[1, 2]]
    auxiliary.images[5] = 0.8 * truth.images[4]
    with with_callbacks(announced := Warnings()):
        copies = find_known_samples(truth, auxiliary)
    assert copies is not None
    assert copies.exact.nonzero().flatten().tolist() == [1, 2]
    assert copies.rows.nonzero().flatten().tolist() == [1, 2, 4]
    assert announced.messages == describe_known_samples(copies)
    assert announced.messages[0].startswith(
        "The attacker already had 3 of the 9 forgotten samples: 2 are identical to an auxiliary or public sample and "
        "1 nearly so."
    )


def test_nothing_is_announced_without_copies_or_truth() -> None:
    with with_callbacks(announced := Warnings()):
        copies = find_known_samples(random_image_set(9, seed=1), random_image_set(30))
        assert find_known_samples(None, random_image_set(30)) is None
    assert copies is not None
    assert not copies.rows.any()
    assert announced.messages == []


def test_the_order_of_the_attackers_samples_does_not_matter() -> None:
    truth, auxiliary = random_image_set(6, seed=1), random_image_set(20)
    auxiliary.images[0] = truth.images[5]
    reversed_order = auxiliary.subset(torch.arange(20).flip(0))
    first, second = (find_known_samples(truth, samples) for samples in (auxiliary, reversed_order))
    assert first is not None
    assert second is not None
    assert torch.equal(first.rows, second.rows)
