import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from palimpsest.datasets import ImageSet
from palimpsest.datasets.images import check_labels, convert_channels
from palimpsest.errors import DatasetError


def make(count: int = 4, classes: int = 3) -> ImageSet:
    images = torch.linspace(0, 1, count * 12).view(count, 3, 2, 2)
    return ImageSet("set", images, torch.arange(count) % classes, classes)


def test_length_and_shape():
    assert len(make(5)) == 5
    assert make(5).shape == (3, 2, 2)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 3, 4, 4, dtype=torch.float64),
        torch.zeros(2, 3, 4, 4, dtype=torch.uint8),
        torch.zeros(2, 4, 4),
        torch.zeros(2, 3, 0, 4),
    ],
)
def test_rejects_other_types_and_shapes(images):
    with pytest.raises(DatasetError, match="float32 of shape"):
        ImageSet("set", images, torch.zeros(2, dtype=torch.int64), 2)


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf"), float("-inf")])
def test_names_the_row_of_a_pixel_out_of_range(value):
    images = torch.full((4, 1, 3, 3), 0.5)
    images[2, 0, 1, 1] = value
    with pytest.raises(DatasetError, match="Row 2 of set"):
        ImageSet("set", images, torch.zeros(4, dtype=torch.int64), 2)


def test_accepts_the_ends_of_the_range():
    images = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    assert len(ImageSet("set", images, torch.zeros(2, dtype=torch.int64), 1)) == 2


@pytest.mark.parametrize(
    "labels", [torch.zeros(4), torch.zeros(3, dtype=torch.int64), torch.zeros(4, 1).long()]
)
def test_rejects_labels_of_another_type_or_shape(labels):
    with pytest.raises(DatasetError, match=r"int64 of shape \[4\]"):
        ImageSet("set", torch.zeros(4, 1, 2, 2), labels, 2)


@pytest.mark.parametrize("label", [-1, 3])
def test_names_the_row_of_a_label_out_of_range(label):
    with pytest.raises(DatasetError, match=f"Row 1 of set has label {label}, outside 0 to 2"):
        check_labels(torch.tensor([0, label, 2]), 3, "set")


@given(st.lists(st.integers(0, 5), max_size=8))
def test_subset_keeps_the_given_order(rows):
    whole = make(6)
    part = whole.subset(torch.tensor(rows, dtype=torch.int64))
    assert len(part) == len(rows)
    for place, row in enumerate(rows):
        assert torch.equal(part.images[place], whole.images[row])
        assert part.labels[place] == whole.labels[row]
    assert (part.classes, part.name) == (whole.classes, whole.name)


@pytest.mark.parametrize("row", [-1, 4])
def test_subset_rejects_a_missing_row(row):
    with pytest.raises(DatasetError, match=rf"no row {row}\. Its rows are 0 to 3"):
        make(4).subset(torch.tensor([0, row]))


def test_subset_is_a_copy():
    whole = make()
    whole.subset(torch.arange(4)).images.zero_()
    assert whole.images.max() == 1


def test_fingerprint_depends_on_everything_but_the_name():
    whole = make()
    assert whole.fingerprint == make().fingerprint
    assert whole.fingerprint == ImageSet("other", whole.images, whole.labels, whole.classes).fingerprint
    changed = whole.images.clone()
    changed[3, 2, 1, 1] -= 1e-6
    others = [
        ImageSet("set", changed, whole.labels, 3),
        ImageSet("set", whole.images, whole.labels.flip(0), 3),
        ImageSet("set", whole.images, whole.labels, 4),
        whole.subset(torch.tensor([1, 0, 2, 3])),
    ]
    assert len({whole.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_fingerprint_is_computed_once():
    whole = make()
    before = whole.fingerprint
    whole.images.zero_()
    assert whole.fingerprint == before


def test_converts_between_gray_and_color():
    color = ImageSet("set", torch.rand(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64), 1)
    gray = convert_channels(color, 1)
    expected = 0.299 * color.images[:, 0] + 0.587 * color.images[:, 1] + 0.114 * color.images[:, 2]
    assert torch.allclose(gray.images[:, 0], expected, atol=1e-6)
    assert torch.equal(convert_channels(gray, 3).images, gray.images.repeat(1, 3, 1, 1))
    assert convert_channels(gray, 1) is gray


def test_eight_bit_color_becomes_gray_as_by_pillow():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    images = torch.from_numpy(pixels).movedim(2, 0)[None].float() / 255
    gray = convert_channels(ImageSet("set", images, torch.zeros(1, dtype=torch.int64), 1), 1)
    expected = np.array(Image.fromarray(pixels).convert("L"))
    assert torch.equal(gray.images[0, 0], torch.from_numpy(expected) / 255)
