import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.attacks.learned.augmentation import augmented_queries
from palimpsest.datasets import ImageSet


def images(count: int = 40, side: int = 12) -> ImageSet:
    generator = torch.Generator().manual_seed(1)
    images_uint8 = torch.randint(0, 256, (count, 3, side, side), generator=generator)
    return ImageSet("auxiliary", images_uint8 / 255, torch.arange(count) % 7, 7)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_queries_start_with_the_unchanged_images_and_their_flips() -> None:
    auxiliary = images()
    queries = augmented_queries(auxiliary, 3, generator=generator())
    assert len(queries) == 120
    assert torch.equal(queries.images_uint8[:40].float() / 255, auxiliary.images)
    assert torch.equal(queries.images_uint8[40:80], queries.images_uint8[:40].flip(3))
    assert torch.equal(queries.labels, auxiliary.labels.repeat(3))
    assert not torch.equal(queries.images_uint8[80:], queries.images_uint8[:40])


def test_a_variation_stays_closer_to_its_image_than_to_others() -> None:
    smooth = torch.nn.functional.interpolate(
        torch.rand(40, 3, 3, 3, generator=generator(3)), size=(24, 24), mode="bilinear"
    )
    auxiliary = ImageSet("auxiliary", smooth, torch.zeros(40, dtype=torch.int64), 2)
    queries = augmented_queries(auxiliary, 4, horizontal_flip=False, mixup=0.5, generator=generator())
    varied = queries.images_uint8[120:].float() / 255
    distances = torch.cdist(varied.flatten(1), smooth.flatten(1))
    assert (distances.argmin(1) == torch.arange(40)).float().mean() > 0.9
    assert not torch.equal(queries.images_uint8[40:80], queries.images_uint8[:40].flip(3))


@given(side=st.integers(2, 40), per_image=st.integers(1, 4), mixup=st.floats(0, 1))
@settings(max_examples=25)
def test_augments_images_of_any_size(side: int, per_image: int, mixup: float) -> None:
    queries = augmented_queries(images(5, side), per_image, mixup=mixup, generator=generator())
    assert queries.images_uint8.shape == (5 * per_image, 3, side, side)
    assert queries.images_uint8.dtype == torch.uint8


def test_mixup_keeps_the_larger_share_of_the_original_image() -> None:
    black_and_white = torch.cat([torch.zeros(30, 1, 4, 4), torch.ones(30, 1, 4, 4)])
    auxiliary = ImageSet("auxiliary", black_and_white, torch.arange(60) // 30, 2)
    queries = augmented_queries(auxiliary, 3, mixup=1.0, generator=generator())
    light = queries.images_uint8[120:].float().mean((1, 2, 3)) / 255
    assert light[:30].max() < 0.65
    assert light[30:].min() > 0.35
    assert light[:30].max() > 0.25


def test_the_seed_determines_the_queries() -> None:
    first, repeated, other = (
        augmented_queries(images(), 4, mixup=0.3, generator=generator(seed)).images_uint8
        for seed in (5, 5, 6)
    )
    assert torch.equal(first, repeated)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("start", "stop"), [(0, 80), (40, 80), (3, 5)])
def test_chunks_yield_the_rows_in_order(start: int, stop: int) -> None:
    queries = augmented_queries(images(), 2, generator=generator())
    chunks = list(queries.chunks(start, stop))
    assert torch.equal(
        torch.cat([rows for rows, _ in chunks]), queries.images_uint8[start:stop].float() / 255
    )
    assert torch.equal(torch.cat([labels for _, labels in chunks]), queries.labels[start:stop])
