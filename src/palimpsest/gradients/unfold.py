"""The windows of a convolution (im2col), and their transpose; both can be differentiated again and again."""

from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.autograd import Function


class Windows(NamedTuple):
    """The windows of a two-dimensional convolution without padding; each pair is vertical, horizontal.

    Args:
        kernel: Pixels of a window.
        stride: Pixels from one window to the next.
        dilation: Pixels from one of a window's pixels to the next.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]

    @classmethod
    def of(cls, layer: nn.Conv2d) -> "Windows":
        """The windows of a layer."""
        kernel, stride, dilation = (
            (pair[0], pair[1]) for pair in (layer.kernel_size, layer.stride, layer.dilation)
        )
        return cls(kernel, stride, dilation)

    def view(self, images: Tensor) -> Tensor:
        """A view of each window's pixels: `[n, channels, height, width]` to `[n, channels, *kernel, *grid]`."""
        for side, (kernel, stride, dilation) in enumerate(zip(*self, strict=True)):
            images = images.unfold(2 + side, dilation * (kernel - 1) + 1, stride)[..., ::dilation]
        return images.permute(0, 1, 4, 5, 2, 3)


def unfold(images: Tensor, windows: Windows) -> Tensor:
    """Copy the pixels of each window, channels first.

    Args:
        images: `[n, channels, height, width]`, padded.
        windows: Which pixels are copied.

    Returns:
        `[n, channels, *kernel, *grid]`, contiguous.
    """
    return windows.view(images).contiguous()


def unfold_channels_last(images: Tensor, windows: Windows) -> Tensor:
    """Copy the pixels of each window, channels last, as a differentiable function.

    With channels last a window's row is copied as a whole: several times as fast as `torch.nn.functional.unfold`.

    Args:
        images: `[n, height, width, channels]`, padded.
        windows: Which pixels are copied.

    Returns:
        `[n, *grid, *kernel, channels]`, contiguous.
    """
    return _Unfold.apply(images, windows)


class _Unfold(Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, windows: Windows) -> Tensor:
        ctx.windows, ctx.shape = windows, images.shape
        return windows.view(images.movedim(-1, 1)).permute(0, 4, 5, 2, 3, 1).contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Fold.apply(gradients[0], ctx.windows, ctx.shape), None


class _Fold(Function):
    """The transpose of `_Unfold`: for each pixel the sum over all windows that contain it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, windows: Windows, shape: tuple[int, ...]) -> Tensor:
        ctx.windows = windows
        count, height, width, channels = shape
        (rows, columns), (kernel_height, kernel_width) = values.shape[1:3], windows.kernel
        # Horizontally and then vertically: as many additions as a window has rows and columns, not as it has pixels.
        horizontal = values.new_zeros(count, rows, kernel_height, width, channels)
        for column in range(kernel_width):
            horizontal[:, :, :, _pixels(windows, 1, column, columns)].add_(
                values[..., column, :].transpose(2, 3)
            )
        sums = values.new_zeros(count, height, width, channels)
        for row in range(kernel_height):
            sums[:, _pixels(windows, 0, row, rows)].add_(horizontal[:, :, row])
        return sums

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Unfold.apply(gradients[0].contiguous(), ctx.windows), None, None


def _pixels(windows: Windows, side: int, place: int, count: int) -> slice:
    """The pixels along one side of an image that are at one place of its windows."""
    first, step = place * windows.dilation[side], windows.stride[side]
    return slice(first, first + step * (count - 1) + 1, step)
