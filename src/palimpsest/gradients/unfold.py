"""Patches of a convolution's input (im2col) and their transpose, both differentiable any number of times."""

from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.autograd import Function


class PatchGeometry(NamedTuple):
    """Geometry of the patches of a two-dimensional convolution without padding; pairs are (vertical, horizontal).

    Args:
        kernel: Size of a patch in pixels.
        stride: Distance between adjacent patches.
        dilation: Distance between adjacent pixels of a patch.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]

    @classmethod
    def of(cls, layer: nn.Conv2d) -> "PatchGeometry":
        """Return the geometry of a layer's patches."""
        kernel, stride, dilation = (
            (pair[0], pair[1]) for pair in (layer.kernel_size, layer.stride, layer.dilation)
        )
        return cls(kernel, stride, dilation)

    def view(self, images: Tensor) -> Tensor:
        """Return a view of the pixels of each patch.

        Args:
            images: `[n, channels, height, width]`, padded.

        Returns:
            `[n, channels, *kernel, *outputs]`, where `outputs` is the height and width of the convolution's output.
        """
        for side, (kernel, stride, dilation) in enumerate(zip(*self, strict=True)):
            images = images.unfold(2 + side, dilation * (kernel - 1) + 1, stride)[..., ::dilation]
        return images.permute(0, 1, 4, 5, 2, 3)


def unfold(images: Tensor, geometry: PatchGeometry) -> Tensor:
    """Copy the pixels of each patch, channels first.

    Args:
        images: `[n, channels, height, width]`, padded.
        geometry: Geometry of the patches.

    Returns:
        `[n, channels, *kernel, *outputs]`, contiguous.
    """
    return geometry.view(images).contiguous()


def unfold_channels_last(images: Tensor, geometry: PatchGeometry) -> Tensor:
    """Copy the pixels of each patch, channels last, as a differentiable function.

    With channels last, each row of a patch is copied as a whole, which is several times as fast as
    `torch.nn.functional.unfold`.

    Args:
        images: `[n, height, width, channels]`, padded.
        geometry: Geometry of the patches.

    Returns:
        `[n, *outputs, *kernel, channels]`, contiguous.
    """
    return _Unfold.apply(images, geometry)


class _Unfold(Function):
    """Copy of the pixels of each patch, channels last."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, geometry: PatchGeometry) -> Tensor:
        ctx.geometry, ctx.shape = geometry, images.shape
        return geometry.view(images.movedim(-1, 1)).permute(0, 4, 5, 2, 3, 1).contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Fold.apply(gradients[0], ctx.geometry, ctx.shape), None


class _Fold(Function):
    """Transpose of `_Unfold`: for each pixel, the sum over all patches that contain it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, geometry: PatchGeometry, shape: tuple[int, ...]) -> Tensor:
        ctx.geometry = geometry
        count, height, width, channels = shape
        (rows, columns), (kernel_height, kernel_width) = values.shape[1:3], geometry.kernel
        # Summing along rows, then columns, takes one addition per row and column of a patch instead of one per pixel.
        horizontal = values.new_zeros(count, rows, kernel_height, width, channels)
        for column in range(kernel_width):
            horizontal[:, :, :, _pixels(geometry, 1, column, columns)].add_(
                values[..., column, :].transpose(2, 3)
            )
        sums = values.new_zeros(count, height, width, channels)
        for row in range(kernel_height):
            sums[:, _pixels(geometry, 0, row, rows)].add_(horizontal[:, :, row])
        return sums

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Unfold.apply(gradients[0].contiguous(), ctx.geometry), None, None


def _pixels(geometry: PatchGeometry, side: int, position: int, count: int) -> slice:
    """Return the pixels along one side of an image that are at one position of its patches."""
    first, step = position * geometry.dilation[side], geometry.stride[side]
    return slice(first, first + step * (count - 1) + 1, step)
