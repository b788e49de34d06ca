"""MSE, PSNR and SSIM of pairs of images in [0, 1]."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from palimpsest.system.torchvision_compat import import_torchvision

LARGEST_PSNR = 100.0
"""PSNR of identical images in dB. The true value is infinite, which can't be averaged or written as JSON."""

_BATCH_PIXELS = 2**18


def mean_squared_errors(images: Tensor, originals: Tensor) -> Tensor:
    """Compute the mean squared error of each pair.

    Args:
        images: `[n, c, h, w]` in [0, 1].
        originals: The same shape.

    Returns:
        `[n]` float64 in [0, 1]; 0 for identical images.
    """
    errors = [
        (left.double() - right.double()).square().flatten(1).mean(dim=1)
        for left, right in paired_batches(images, originals, pixels=_BATCH_PIXELS)
    ]
    return torch.cat(errors)


def psnr(mean_squared_error: Tensor) -> Tensor:
    """Convert a mean squared error to a peak signal-to-noise ratio for a data range of 1.

    The literature calls both the mean of the images' PSNR and the PSNR of the mean error "PSNR". By Jensen's
    inequality, the first is never below the second.

    Args:
        mean_squared_error: Mean squared errors of any shape, at least 0.

    Returns:
        PSNR in dB, of the same shape, at most `LARGEST_PSNR`; higher means closer.
    """
    return (-10 * mean_squared_error.log10()).clamp(max=LARGEST_PSNR)


def ssim(images: Tensor, originals: Tensor) -> Tensor:
    """Compute the structural similarity of each pair, averaged over pixels and channels (Wang et al., 2004).

    The Gaussian window is 11 pixels wide with sigma 1.5, as published. For images with a side below 11, it is the
    widest odd window that fits, with sigma scaled in proportion: an 11-pixel window on 8x8 digits would mostly cover
    reflected border. Such values are not comparable with those of larger images.

    Args:
        images: `[n, c, h, w]` in [0, 1].
        originals: The same shape.

    Returns:
        `[n]` float64, at most 1, which identical images have.
    """
    similarity = _torchmetrics_ssim()
    radius = min(5, (min(images.shape[-2:]) - 1) // 2)
    # torchmetrics derives the window from sigma: 1.5 gives 11 pixels, 0.03 gives one.
    sigma = 0.3 * max(radius, 0.1)
    values = [
        similarity(left, right, sigma=sigma, data_range=1.0, reduction="none").reshape(-1)
        for left, right in paired_batches(images, originals, pixels=_BATCH_PIXELS)
    ]
    return torch.cat(values).double()


def paired_batches(images: Tensor, originals: Tensor, *, pixels: int) -> list[tuple[Tensor, Tensor]]:
    """Split both sides into batches, so that memory does not grow with the number of images.

    Args:
        images: `[n, c, h, w]`.
        originals: `[n, c, h, w]`.
        pixels: Approximate number of pixels in a batch; a batch has at least one image.

    Returns:
        Pairs of batches in order.
    """
    size = max(1, pixels // (images.shape[-2] * images.shape[-1]))
    return list(zip(images.split(size), originals.split(size), strict=True))


def _torchmetrics_ssim() -> Callable[..., Any]:
    # torchmetrics imports torchvision if it is installed, and fails if that import fails.
    if find_spec("torchvision") is not None:
        import_torchvision()
    from torchmetrics.functional.image import structural_similarity_index_measure

    return structural_similarity_index_measure
