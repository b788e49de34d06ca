import base64
import io
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from tests.support.pages import draw

from palimpsest.report.gallery import (
    IMAGE_BUDGET,
    build_gallery,
    encode_images,
    examples,
    order,
    sorting_score,
)


def decode(text: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(text))))


@pytest.mark.parametrize("channels", [1, 3])
def test_encoding_is_lossless(channels):
    images = torch.rand(3, channels, 6, 5, generator=torch.Generator().manual_seed(0))
    for image, text in zip(images, encode_images(images), strict=True):
        expected = (image.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
        # WebP has no gray mode: all three channels are equal.
        assert (decode(text) == expected).all()


def test_values_outside_the_range_are_clamped():
    image = torch.tensor([[-1.0, 0.0, 1.0, 9.0]]).view(1, 1, 1, 4)
    assert decode(encode_images(image)[0])[0, :, 0].tolist() == [0, 0, 255, 255]


def test_sorts_by_lpips_or_by_mse_without_lpips(report):
    assert sorting_score(report.per_image) == "lpips"
    without = {name: values for name, values in report.per_image.items() if name != "lpips"}
    assert sorting_score(without) == "mse"


def test_order_is_from_most_to_least_exposed_with_nan_last():
    assert order("mse", torch.tensor([0.3, math.nan, 0.1, 0.2])) == [2, 3, 0, 1]
    assert order("psnr", torch.tensor([10.0, math.nan, math.inf, 30.0])) == [2, 3, 0, 1]


def test_examples_are_the_most_the_median_and_the_least_exposed():
    groups = examples("mse", torch.arange(21).flip(0).float(), each=3)
    assert groups == {"most exposed": [20, 19, 18], "median": [11, 10, 9], "least exposed": [2, 1, 0]}


@pytest.mark.parametrize("count", range(1, 20))
def test_examples_never_repeat_an_image(count):
    groups = examples("mse", torch.arange(count).float()).values()
    rows = [row for group in groups for row in group]
    assert len(rows) == len(set(rows)) > 0


def test_gallery_is_json_with_columns_of_equal_length(make_report):
    report = make_report(12)
    report.per_image["psnr"][3] = math.inf
    gallery = json.loads(json.dumps(build_gallery(report), allow_nan=False))
    columns = [gallery[name] for name in ("rows", "labels", "owners", "accepted", "norms", "originals")]
    columns += [gallery["reconstructions"], *gallery["values"].values()]
    assert {len(column) for column in columns} == {12}
    assert gallery["values"]["psnr"][3] is None
    assert gallery["values"]["mse"][5] == pytest.approx(float(report.per_image["mse"][5]), rel=1e-5)
    assert gallery["size"] == [32, 32]


def test_small_budget_compresses_and_then_selects_images_including_the_examples(report):
    whole = build_gallery(report)
    size = sum(len(text) for name in ("originals", "reconstructions") for text in whole[name])
    assert whole["exact"]
    compressed = build_gallery(report, budget=size - 1)
    assert not compressed["exact"]
    assert len(compressed["rows"]) == 120
    lossy = sum(len(text) for name in ("originals", "reconstructions") for text in compressed[name])
    assert lossy < size / 2
    part = build_gallery(report, budget=lossy // 3)
    assert len(part["rows"]) == pytest.approx(40, abs=15)
    for rows in examples("lpips", report.per_image["lpips"]).values():
        assert set(rows) <= set(part["rows"])
    for position, row in enumerate(part["rows"]):
        assert part["originals"][position] == compressed["originals"][row]
        assert part["values"]["mse"][position] == whole["values"]["mse"][row]


def test_classes_have_their_names(make_report):
    gallery = build_gallery(make_report(12, class_names=["zero", "one", "2"]))
    assert gallery["classes"][:3] == [[0, "zero"], [1, "one"], [2, "class 2"]]


def test_a_page_of_ten_thousand_samples_is_below_twenty_megabytes(make_report):
    def without_images(count):
        report = make_report(count, size=8, channels=1)
        gallery = build_gallery(report)
        images = sum(len(text) for name in ("originals", "reconstructions") for text in gallery[name])
        return len(draw(report).encode()) - images

    few, many = without_images(50), without_images(250)
    others = few + (many - few) / 200 * (10_000 - 50)
    assert IMAGE_BUDGET + others < 20e6
