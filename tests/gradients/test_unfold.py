import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from palimpsest.gradients.unfold import PatchGeometry, unfold, unfold_channels_last

SIDES = st.tuples(st.integers(1, 3), st.integers(1, 3))


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@given(kernel=SIDES, stride=SIDES, dilation=SIDES, channels=st.integers(1, 3))
def test_equals_the_unfold_of_torch(
    kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], channels: int
) -> None:
    images = noise(2, channels, 8, 9)
    channels_last = images.movedim(1, -1).contiguous()
    geometry = PatchGeometry.of(nn.Conv2d(channels, 1, kernel, stride, dilation=dilation))
    found = unfold(images, geometry)
    assert found.is_contiguous()
    assert torch.equal(found.flatten(1, 3).flatten(2), F.unfold(images, kernel, dilation, 0, stride))
    found_last = unfold_channels_last(channels_last, geometry)
    assert found_last.is_contiguous()
    assert torch.equal(found_last, found.permute(0, 4, 5, 2, 3, 1))


@settings(max_examples=15, deadline=None)
@given(kernel=SIDES, stride=SIDES, dilation=SIDES)
def test_can_be_differentiated_twice(
    kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> None:
    images = noise(1, 7, 7, 1).requires_grad_()
    geometry = PatchGeometry.of(nn.Conv2d(1, 1, kernel, stride, dilation=dilation))
    assert torch.autograd.gradgradcheck(
        lambda images: unfold_channels_last(images, geometry).square(), images
    )
