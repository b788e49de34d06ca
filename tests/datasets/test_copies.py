from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.support.images import random_image_set, random_images
from torch import Tensor

import palimpsest.datasets.copies
from palimpsest.datasets import ImageSet, RowSet, TokenSet
from palimpsest.datasets.copies import Copies, find_copies


def images_of(images: Tensor) -> ImageSet:
    return ImageSet("some", images, torch.zeros(len(images), dtype=torch.int64), 1)


def smooth(count: int, *, seed: int = 0, channels: int = 3, side: int = 16) -> Tensor:
    """Random images with large structures, whose thumbnails differ."""
    return F.interpolate(random_images(count, channels, 8, 8, seed=seed), size=(side, side), mode="bilinear")


def brightness(image: Tensor) -> np.ndarray:
    """Mean brightness of the 8 x 8 blocks of an image whose side is a multiple of 8."""
    gray, block = image.double().mean(dim=0).numpy(), image.shape[-1] // 8
    return np.array(
        [
            gray[block * row : block * (row + 1), block * column : block * (column + 1)].mean()
            for row in range(8)
            for column in range(8)
        ]
    )


def reference_near(image: Tensor, candidates: list[Tensor], everything: list[Tensor]) -> bool:
    """Whether an image is nearly identical to a candidate, given all other images (correct, slow)."""
    for query in (image, image.flip(-1)):
        nearest, fifth = (
            sorted(1 - np.corrcoef(brightness(query), brightness(other))[0, 1] for other in images)
            for images in (candidates, everything)
        )
        if nearest and nearest[0] < 0.1 and nearest[0] < 0.1 * fifth[4]:
            return True
    return False


def repeats(images: Tensor) -> Copies:
    return find_copies(images_of(images), images_of(images[:0]))


def altered(images: Tensor) -> Tensor:
    """Copies with noise, another contrast, as mirror images, and with swapped colors."""
    noise = 0.02 * random_images(*images.shape, seed=5)
    ways = [images * 0.98 + noise, images * 0.5 + 0.3, images.flip(-1), images.flip(1)]
    return torch.stack([ways[row % len(ways)][row] for row in range(len(images))]).clamp(0, 1)


def test_equal_samples_are_exact_copies() -> None:
    others = random_image_set(40)
    samples = random_images(6, 1, 8, 8, seed=1)
    samples[2], samples[5] = others.images[7], others.images[0]
    found = find_copies(images_of(samples), others)
    assert found.exact.tolist() == [False, False, True, False, False, True]
    assert found.near is not None
    assert not found.near.any()
    assert torch.equal(found.rows, found.exact)


def test_one_level_of_one_pixel_is_no_exact_copy() -> None:
    others = images_of((smooth(30) * 254).round() / 255)
    samples = others.images[:1].clone()
    samples[0, 0, 3, 3] += 1 / 255
    found = find_copies(images_of(samples), others)
    assert found.exact.tolist() == [False]
    assert found.near is not None
    assert found.near.tolist() == [True]


def test_rows_and_tokens_have_exact_copies_only() -> None:
    labels = torch.zeros(6, dtype=torch.int64)
    rows = RowSet("rows", torch.arange(12.0).view(6, 2), labels, 1, ("a", "b"))
    tokens = TokenSet("tokens", torch.arange(12).view(6, 2), labels, 1)
    for samples in (rows, tokens):
        found = find_copies(samples.subset(torch.tensor([4, 1])), samples.subset(torch.tensor([0, 1, 2])))
        assert (found.exact.tolist(), found.near) == ([False, True], None)
        again = samples.subset(torch.tensor([3, 1, 3]))
        assert find_copies(again, samples.subset(torch.tensor([0]))).repeated.tolist() == [False, False, True]


def test_altered_images_are_near_copies() -> None:
    others = smooth(60)
    samples = torch.cat([altered(others[:20]), smooth(20, seed=3)])
    found = find_copies(images_of(samples), images_of(others))
    assert found.near is not None
    assert found.near.tolist() == [True] * 20 + [False] * 20
    assert not found.exact.any()


@pytest.mark.parametrize("block", [1, 70, 2**24])
def test_copies_equal_the_reference(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(palimpsest.datasets.copies, "_BLOCK", block)
    others = smooth(40)
    # Mixtures from nearly one image to half another, so that both outcomes of every condition occur.
    shares = torch.linspace(0.02, 0.5, 40).view(-1, 1, 1, 1)
    samples = others * (1 - shares) + smooth(40, seed=2) * shares
    found = find_copies(images_of(samples), images_of(others))
    everything = [*others, *samples]
    expected = [
        reference_near(image, list(others), everything[: 40 + row] + everything[41 + row :])
        for row, image in enumerate(samples)
    ]
    assert found.near is not None
    assert found.near.tolist() == expected
    assert 5 < sum(expected) < 35


@pytest.mark.parametrize("block", [1, 70, 2**24])
def test_repeats_equal_the_reference(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(palimpsest.datasets.copies, "_BLOCK", block)
    first = smooth(20)
    shares = torch.linspace(0.02, 0.5, 20).view(-1, 1, 1, 1)
    mixed = first * (1 - shares) + smooth(20, seed=2) * shares
    images = torch.cat([first, mixed.flip(-1)])[
        torch.randperm(40, generator=torch.Generator().manual_seed(1))
    ]
    expected = [
        reference_near(image, list(images[:row]), [*images[:row], *images[row + 1 :]])
        for row, image in enumerate(images)
    ]
    assert repeats(images).repeated.tolist() == expected
    assert 3 < sum(expected) < 18


def test_the_first_of_equal_samples_is_no_repeat() -> None:
    images = smooth(30)
    images[20] = images[4]
    images[25] = altered(images[:1])[0]
    found = repeats(images)
    assert found.repeated.nonzero().flatten().tolist() == [20, 25]
    assert not found.rows.any()
    assert found.unique.tolist() == [row for row in range(30) if row not in (20, 25)]


def test_a_repeated_copy_is_counted_once() -> None:
    others, samples = smooth(30), smooth(20, seed=1)
    samples[3], samples[9], samples[12] = others[4], others[4], altered(others[7:8])[0]
    found = find_copies(images_of(samples), images_of(others))
    assert found.near is not None
    parts = (found.exact, found.near, found.repeated)
    assert [part.nonzero().flatten().tolist() for part in parts] == [[3, 9], [12], []]


def test_a_symmetric_image_does_not_repeat_itself() -> None:
    images = smooth(20)
    found = repeats((images + images.flip(-1)) / 2)
    assert found.near is not None
    assert not found.repeated.any()


def test_images_that_all_resemble_each_other_are_no_copies() -> None:
    # Correlations are above 0.99, but no image is much closer than five others.
    images = (0.9 * smooth(1) + 0.02 * smooth(60, seed=1)).clamp(0, 1)
    found = find_copies(images_of(images[:30]), images_of(images[30:]))
    assert found.near is not None
    assert not found.near.any()


def test_images_of_one_brightness_are_no_near_copies() -> None:
    levels = torch.linspace(0, 1, 30).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    found = find_copies(images_of(levels[:10] + 0.001), images_of(levels.contiguous()))
    assert found.near is not None
    assert not found.rows.any()


def test_small_images_and_few_images_have_exact_copies_only() -> None:
    small = random_image_set(30, shape=(1, 7, 9))
    assert find_copies(small, small).near is None
    images = random_image_set(30)
    few, fewer = (images.subset(torch.arange(count)) for count in (3, 2))
    assert find_copies(fewer, few).near is None
    assert find_copies(few, few).near is not None


def test_no_samples_are_no_copies() -> None:
    images = random_image_set(30)
    nothing = images.subset(torch.tensor([], dtype=torch.int64))
    assert find_copies(nothing, images).rows.tolist() == []
    assert find_copies(images, nothing).unique.tolist() == list(range(30))


def test_labels_do_not_matter() -> None:
    others = random_image_set(30)
    samples = replace(others, labels=torch.ones(30, dtype=torch.int64), classes=2)
    assert find_copies(samples, others).exact.all()
