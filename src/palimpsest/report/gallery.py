"""Images and scores for the script of the page: small WebP files, and columns of numbers."""

import base64
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from palimpsest.report.inputs import ReportInput
from palimpsest.report.scores import PER_IMAGE

IMAGE_BUDGET = 18_500_000
"""The largest number of characters of encoded images on a page, which keeps one of 10,000 samples below 20 MB."""


def encode_images(images: Tensor, *, exact: bool = True) -> list[str]:
    """Encode each image as WebP in base64.

    Args:
        images: `[n, c, h, w]` with c 1 or 3; they are clamped to [0, 1] and rounded to 8 bits.
        exact: Compress without loss. If False, compress with loss to about a third of the size.
    """
    pixels = images.detach().cpu().clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1)
    if pixels.shape[-1] == 1:
        pixels = pixels.squeeze(-1)
    return [_webp(image, exact) for image in pixels.contiguous().numpy()]


def sorting_score(per_image: Mapping[str, Tensor]) -> str:
    """Return the score that ranks samples by exposure: LPIPS, or MSE without it; the token accuracy of texts."""
    return next(name for name in PER_IMAGE if name in per_image)


def order(name: str, values: Tensor) -> list[int]:
    """Return rows from the most to the least exposed sample. Ties keep their order, and NaN comes last."""
    keys = values.double() if PER_IMAGE[name].better == "low" else -values.double()
    return torch.argsort(keys.nan_to_num(math.inf, math.inf, -math.inf), stable=True).tolist()


def examples(name: str, values: Tensor, *, each: int = 6) -> dict[str, list[int]]:
    """Return rows of the most, the median and the least exposed images; fewer than three images form one group."""
    rows = order(name, values)
    if len(rows) < 3:
        return {"all": rows}
    each = min(each, len(rows) // 3)
    middle = (len(rows) - each) // 2
    return {
        "most exposed": rows[:each],
        "median": rows[middle : middle + each],
        "least exposed": rows[-each:],
    }


def build_gallery(report: ReportInput, *, budget: int = IMAGE_BUDGET) -> dict[str, Any]:
    """Return the input of the page's script: images and scores as columns of equal length, JSON values only.

    Args:
        report: The contents of the page.
        budget: The largest number of characters of all encoded images. If they would take more, they are compressed
            with loss; if that is not enough, only a selection that is evenly spread over the scores is kept.

    Returns:
        `rows` are the numbers of the images, `originals` and `reconstructions` are WebP files in base64, and `exact`
        says whether they are compressed without loss.
    """
    originals, reconstructions, exact = _encoded_pairs(report, budget)
    rows = _within_budget(report, _size(originals, reconstructions), budget)
    images, labels = report.truth
    scores = {name: report.per_image[name] for name in PER_IMAGE if name in report.per_image}
    classes = sorted(set(labels.tolist()))
    return {
        "scores": [
            {"key": name, "label": PER_IMAGE[name].label, "better": PER_IMAGE[name].better} for name in scores
        ],
        "size": list(images.shape[-2:]),
        "classes": [[label, class_name(report, label)] for label in classes],
        "exact": exact,
        "rows": rows,
        "labels": labels[rows].tolist(),
        "owners": None if report.owners is None else report.owners[rows].tolist(),
        "accepted": None if report.accepted is None else report.accepted[rows].tolist(),
        "identified": None if report.identified is None else report.identified[rows].tolist(),
        "norms": None if report.norms is None else _numbers(report.norms[rows]),
        "values": {name: _numbers(values[rows]) for name, values in scores.items()},
        "originals": [originals[row] for row in rows],
        "reconstructions": [reconstructions[row] for row in rows],
    }


def class_name(report: ReportInput, label: int) -> str:
    """Return the name of a class, or "class 3" if it has no name or its name is a number."""
    name = report.class_names[label] if label < len(report.class_names) else str(label)
    return f"class {name}" if name.isdecimal() else name


def _within_budget(report: ReportInput, size: int, budget: int) -> list[int]:
    name = sorting_score(report.per_image)
    rows = order(name, report.per_image[name])
    kept = min(len(rows), max(1, budget * len(rows) // size))
    spread = {rows[index * len(rows) // kept] for index in range(kept)}
    return sorted(spread.union(*examples(name, report.per_image[name]).values()))


def _encoded_pairs(report: ReportInput, budget: int) -> tuple[list[str], list[str], bool]:
    pairs = report.truth[0], report.reconstructions
    originals, reconstructions = (encode_images(images) for images in pairs)
    if _size(originals, reconstructions) <= budget:
        return originals, reconstructions, True
    originals, reconstructions = (encode_images(images, exact=False) for images in pairs)
    return originals, reconstructions, False


def _size(*encoded: list[str]) -> int:
    return sum(len(text) for texts in encoded for text in texts)


def _webp(pixels: np.ndarray, exact: bool) -> str:
    # The fastest method; a slower one would save 4 %.
    settings = {"lossless": True, "quality": 0, "method": 0} if exact else {"quality": 85, "method": 2}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="WEBP", **settings)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _numbers(values: Tensor) -> list[float | int | None]:
    return [
        (float(f"{value:.6g}") if isinstance(value, float) else value) if math.isfinite(value) else None
        for value in values.tolist()
    ]
