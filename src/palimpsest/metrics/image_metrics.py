"""Pixel by pixel: MSE, PSNR and SSIM, one number for each pair of images in [0, 1]."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from palimpsest.system.torchvision_compat import import_torchvision

LARGEST_PSNR = 100.0
"""What identical images get, in dB: their true PSNR is infinite, which has no mean and no JSON."""

_BATCH_PIXELS = 2**18


def mean_squared_errors(images: Tensor, originals: Tensor) -> Tensor:
    """Mean squared error of each pair.

    Args:
        images: `[n, c, h, w]` in [0, 1].
        originals: The same shape.

    Returns:
        `[n]` float64.
    """
    errors = [
        (left.double() - right.double()).square().flatten(1).mean(dim=1)
        for left, right in paired_batches(images, originals, pixels=_BATCH_PIXELS)
    ]
    return torch.cat(errors)


def psnr(mean_squared_error: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB for a data range of 1, at most `LARGEST_PSNR`.

    Args:
        mean_squared_error: Any shape. The PSNR of each image's error and the PSNR of the mean error are both
            called "PSNR" in the literature; by Jensen's inequality the mean of the first is never below the
            second.
    """
    return (-10 * mean_squared_error.log10()).clamp(max=LARGEST_PSNR)


def ssim(images: Tensor, originals: Tensor) -> Tensor:
    """Structural similarity of each pair, at most 1, mean over pixels and channels (Wang et al., 2004).

    The Gaussian window is 11 pixels wide with sigma 1.5, as published. On images with a side below 11 it is
    the widest odd window that fits, with sigma in the same proportion, because an 11-pixel window on 8x8
    digits would consist mostly of reflected border; such values are not on one scale with those of larger
    images.

    Args:
        images: `[n, c, h, w]` in [0, 1].
        originals: The same shape.

    Returns:
        `[n]` float64.
    """
    similarity = _torchmetrics_ssim()
    radius = min(5, (min(images.shape[-2:]) - 1) // 2)
    sigma = 0.3 * max(
        radius, 0.1
    )  # torchmetrics derives the window from sigma: 1.5 gives 11 pixels, 0.03 one.
    values = [
        similarity(left, right, sigma=sigma, data_range=1.0, reduction="none").reshape(-1)
        for left, right in paired_batches(images, originals, pixels=_BATCH_PIXELS)
    ]
    return torch.cat(values).double()


def paired_batches(images: Tensor, originals: Tensor, *, pixels: int) -> list[tuple[Tensor, Tensor]]:
    """Both sides in batches of about that many pixels, so that memory does not grow with the number of
    images."""
    size = max(1, pixels // (images.shape[-2] * images.shape[-1]))
    return list(zip(images.split(size), originals.split(size), strict=True))


def _torchmetrics_ssim() -> Callable[..., Any]:
    # torchmetrics imports torchvision whenever it is installed, and fails where that fails.
    if find_spec("torchvision") is not None:
        import_torchvision()
    from torchmetrics.functional.image import structural_similarity_index_measure

    return structural_similarity_index_measure
