import os
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from tests.support.image_formats import IMAGE_FORMATS, ImageFormat
from tests.support.warnings import Warnings

from palimpsest.datasets import decode_images
from palimpsest.datasets.reading import Decoding, ReadingRecord
from palimpsest.errors import DatasetError, ResourceError
from palimpsest.progress import with_callbacks

GRADIENT = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def color() -> Image.Image:
    return Image.fromarray(np.stack([GRADIENT, GRADIENT.T.reshape(6, 8), 255 - GRADIENT], axis=-1))


def as_tensor(image: Image.Image) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(image))
    return (pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1)).float() / 255


def test_equals_decoding_one_image_at_a_time(encode, pictures):
    # The images fill more than one chunk, so that a misplaced chunk is noticed.
    images = pictures(2100, side=3)
    decoded = decode_images((f"row {row}", encode(pixels)) for row, pixels in enumerate(images))
    expected = torch.stack([as_tensor(Image.fromarray(pixels)) for pixels in images])
    assert decoded.dtype == torch.float32
    assert decoded.is_contiguous()
    assert torch.equal(decoded, expected)


@pytest.mark.parametrize("form", IMAGE_FORMATS, ids=str)
def test_every_format_is_read_as_by_pillow_or_refused(form: ImageFormat, tmp_path: Path) -> None:
    path, warnings = form.write(tmp_path), Warnings()
    if form.refusal:
        with pytest.raises(DatasetError, match=re.escape(form.refusal)):
            decode_images([("it", path)], decoding=form.decoding)
        return
    with with_callbacks(warnings):
        decoded = decode_images([("it", path)], decoding=form.decoding)[0]
    with Image.open(path) as image:
        if form.values is not None:
            white = np.float32(form.decoding.white_level)
            expected = torch.from_numpy(form.values.astype(np.float32) / white)[None]
        else:
            turned = ImageOps.exif_transpose(image) if form.decoding.orientation == "apply" else image
            # torchvision's ImageFolder calls convert("RGB"); of gray pixels that repeats the ones of "L".
            expected = as_tensor(turned.convert("RGB"))
    assert torch.equal(decoded.expand(expected.shape), expected)
    assert [form.note in message for message in warnings.messages] == [True] * bool(form.note)


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_gray_stays_one_channel(encode, mode):
    image = Image.fromarray(GRADIENT).convert(mode)
    assert torch.equal(decode_images([("it", encode(image))])[0], as_tensor(image.convert("L")))


def test_deep_and_shallow_images_are_mixed_and_scaled(encode):
    deep = Image.fromarray((GRADIENT.astype(np.uint16)) * 257)
    files = [("a", encode(deep)), ("b", encode(GRADIENT))]
    decoded = decode_images(files, decoding=Decoding(white_level=65_535))
    assert torch.equal(decoded[0], decoded[1])
    scaled = decode_images(files, (3, 4), decoding=Decoding(white_level=65_535))
    # Pillow rounds 8-bit pixels after each of the two passes.
    torch.testing.assert_close(scaled[0], scaled[1], atol=1.01 / 255, rtol=0)


def test_a_pixel_that_is_not_a_number_is_refused(encode):
    broken = Image.fromarray(np.full((2, 2), np.nan, np.float32))
    with pytest.raises(DatasetError, match="a pixel is not a finite number"):
        decode_images([("it", encode(broken, "TIFF"))], decoding=Decoding(1))


@pytest.mark.parametrize(
    ("image", "kind", "depth"),
    [
        (Image.fromarray(GRADIENT), "PNG", 8),
        (Image.fromarray(GRADIENT).convert("1"), "PNG", 1),
        (Image.fromarray(GRADIENT).convert("1"), "TIFF", 1),
        (Image.fromarray(GRADIENT.astype(np.uint16)), "PNG", 16),
        (Image.fromarray(GRADIENT.astype(np.uint16)), "TIFF", 16),
        (Image.fromarray(GRADIENT.astype(np.uint16)), "PPM", 16),
        (Image.fromarray(GRADIENT.astype(np.float32)), "TIFF", 32),
        (Image.fromarray(GRADIENT), "JPEG", 8),
    ],
)
def test_the_record_has_bit_depths(encode, image, kind, depth):
    record = ReadingRecord()
    decode_images([("it", encode(image, kind))], decoding=Decoding(255), record=record)
    assert record.depths == {depth: 1}


def test_names_that_are_not_utf8_can_be_written(tmp_path):
    file = tmp_path / os.fsdecode(b"H\xe4nde.png")
    file.write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"H\\xe4nde\.png can't be read"):
        decode_images([(str(file), file)])


def test_repeats_gray_images_among_color_images(encode):
    gray = Image.fromarray(GRADIENT)
    decoded = decode_images([("a", encode(gray)), ("b", encode(color()))])
    assert torch.equal(decoded[0], as_tensor(gray).expand(3, -1, -1))
    assert torch.equal(decoded[1], as_tensor(color()))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_bytes_and_files_give_the_same_image(encode, tmp_path, kind):
    content = encode(color(), kind)
    file = tmp_path / "image"
    file.write_bytes(content)
    assert torch.equal(decode_images([("a", content)]), decode_images([("a", file)]))


def test_names_the_first_image_of_another_size(encode):
    small, large = encode(GRADIENT[:4, :4]), encode(GRADIENT)
    with pytest.raises(DatasetError, match=r"c has 8 x 6 pixels, but a has 4 x 4\. .*image_size"):
        decode_images([("a", small), ("b", small), ("c", large), ("d", small)])


def test_scales_images_of_different_sizes(encode):
    images = [Image.fromarray(GRADIENT[:4, :4]), color()]
    decoded = decode_images([("a", encode(images[0])), ("b", encode(images[1]))], size=(5, 7))
    assert decoded.shape == (2, 3, 5, 7)
    assert torch.equal(decoded[1], as_tensor(images[1].resize((7, 5), Image.Resampling.BICUBIC)))


def test_scaling_down_averages(encode):
    # Without antialiasing a checkerboard would become black or white.
    board = np.indices((32, 32)).sum(axis=0) % 2 * 255
    decoded = decode_images([("it", encode(board))], size=(4, 4))
    assert decoded.sub(0.5).abs().max() < 0.05


def test_names_a_truncated_image(encode, pictures):
    whole = encode(pictures(1, side=32)[0])
    for cut in (0, 8, 20, len(whole) // 2):
        with pytest.raises(DatasetError, match="row 1 can't be read as an image"):
            decode_images([("row 0", whole), ("row 1", whole[:cut])])


def test_rejects_bytes_that_are_not_an_image():
    with pytest.raises(DatasetError, match="row 0 can't be read as an image"):
        decode_images([("row 0", b"not an image at all")])


def test_rejects_an_empty_list():
    with pytest.raises(DatasetError, match="no images"):
        decode_images([])


def test_stops_early_if_the_images_do_not_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palimpsest.system.memory.available_memory", lambda: 2**28)
    buffer = BytesIO()
    Image.new("RGB", (1000, 1000)).save(buffer, "PNG")
    decoded = 0

    def endless() -> Iterator[tuple[str, bytes]]:
        nonlocal decoded
        while True:
            decoded += 1
            yield f"image {decoded}", buffer.getvalue()

    with pytest.raises(ResourceError, match="image_size"):
        decode_images(endless())
    assert decoded < 50


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_images_upright_as_the_hub_does_or_reports_that_it_does_not(orientation: int) -> None:
    picture = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    picture.save(file, "PNG", exif=exif)
    expected = np.array(ImageOps.exif_transpose(Image.open(BytesIO(file.getvalue()))))
    warnings = Warnings()
    with with_callbacks(warnings):
        upright = decode_images([("a", file.getvalue())], decoding=Decoding(orientation="apply"))
        stored = decode_images([("a", file.getvalue())])
    assert torch.equal(upright[0, 0], torch.from_numpy(expected) / 255)
    assert torch.equal(stored[0, 0], torch.from_numpy(np.array(picture)) / 255)
    assert ["EXIF orientation" in message for message in warnings.messages] == [True] * (orientation > 1)
