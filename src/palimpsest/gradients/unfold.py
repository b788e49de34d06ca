"""What a convolution multiplies its weights with, and back: linear maps that can be differentiated again and again."""

from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.autograd import Function


class Windows(NamedTuple):
    """The windows of a convolution without padding; each pair is down and across.

    Args:
        kernel: Pixels of a window.
        stride: Pixels from one window to the next.
        dilation: Pixels from one of a window's pixels to the next.
        grid: Windows, down and across.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    grid: tuple[int, int]

    @classmethod
    def over(cls, images: Tensor, layer: nn.Conv2d) -> "Windows":
        """Those of a layer over images `[n, height, width, channels]` that are padded already."""
        kernel, stride, dilation = (
            (pair[0], pair[1]) for pair in (layer.kernel_size, layer.stride, layer.dilation)
        )
        down, across = (
            (images.shape[1 + side] - dilation[side] * (kernel[side] - 1) - 1) // stride[side] + 1
            for side in (0, 1)
        )
        return cls(kernel, stride, dilation, (down, across))


def patches(images: Tensor, windows: Windows) -> Tensor:
    """Each window's pixels, `[n, *grid, *kernel, channels]`.

    Channels come last, so that a window's row is copied as a whole: several times as fast as torch's own `unfold`.

    Args:
        images: `[n, height, width, channels]`.
        windows: Which.
    """
    return _Patches.apply(images, windows)


class _Patches(Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, windows: Windows) -> Tensor:
        ctx.windows, ctx.shape = windows, images.shape
        sample, row, pixel, channel = images.stride()
        (down, across), (dilation_y, dilation_x) = windows.stride, windows.dilation
        return images.as_strided(
            (len(images), *windows.grid, *windows.kernel, images.shape[3]),
            (sample, down * row, across * pixel, dilation_y * row, dilation_x * pixel, channel),
        ).contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Sums.apply(gradients[0], ctx.windows, ctx.shape), None


class _Sums(Function):
    """The transpose: for each pixel the sum over all windows that show it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, windows: Windows, shape: tuple[int, ...]) -> Tensor:
        ctx.windows = windows
        count, height, width, channels = shape
        (rows, columns), (tall, wide) = windows.grid, windows.kernel
        # Across and then down: as many additions as a window has rows and columns, not as it has pixels.
        across = values.new_zeros(count, rows, tall, width, channels)
        for column in range(wide):
            across[:, :, :, _every(windows, 1, column, columns)].add_(values[..., column, :].transpose(2, 3))
        sums = values.new_zeros(count, height, width, channels)
        for row in range(tall):
            sums[:, _every(windows, 0, row, rows)].add_(across[:, :, row])
        return sums

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Patches.apply(gradients[0].contiguous(), ctx.windows), None, None


def _every(windows: Windows, side: int, place: int, count: int) -> slice:
    """The pixels that stand at one place of a window, along one side of the image."""
    first, step = place * windows.dilation[side], windows.stride[side]
    return slice(first, first + step * (count - 1) + 1, step)
