import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support.layer_gradients import (
    CLASSES,
    assert_batched_equal,
    assert_equal,
    both,
    noise,
    shaken,
)
from torch import nn

from palimpsest.gradients.dispatch import write_with_vmap
from palimpsest.gradients.layer_rules import find_batched_rule
from palimpsest.gradients.layer_rules.convolution import pad
from palimpsest.gradients.layerwise import Layerwise


def pairs(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(numbers, numbers)


@st.composite
def convolutions(draw: st.DrawFn) -> nn.Conv2d:
    groups = draw(st.sampled_from([1, 2, 4]))
    padding = draw(st.one_of(st.just("same"), pairs(st.integers(0, 2))))
    return nn.Conv2d(
        4,
        4 * draw(st.integers(1, 2)),
        # torch warns about a copy if an even kernel is padded to the same size.
        draw(pairs(st.sampled_from([1, 3]) if padding == "same" else st.integers(1, 3))),
        stride=(1, 1) if padding == "same" else draw(pairs(st.integers(1, 3))),
        padding=padding,
        dilation=draw(pairs(st.integers(1, 2))),
        groups=groups,
        bias=draw(st.booleans()),
        padding_mode=draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
    )


@settings(max_examples=80, deadline=None)
@given(
    convolutions(),
    st.integers(1, 4),
    st.tuples(st.integers(5, 9), st.integers(5, 9)),
    st.booleans(),
    st.booleans(),
)
def test_per_sample_gradients(
    layer: nn.Conv2d, count: int, size: tuple[int, int], channels_last: bool, use_groups: bool
) -> None:
    pooled = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * layer.out_channels, CLASSES)]
    model = shaken(nn.Sequential(layer, nn.Tanh(), *pooled))
    images = noise(count, 4, *size)
    try:
        model(images)
    except RuntimeError:
        assume(False)
    if channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    with pytest.MonkeyPatch.context() as patch:
        # Test both algorithms, whichever would be selected for the shape.
        patch.setattr(
            "palimpsest.gradients.layer_rules.convolution._groups_are_faster", lambda *_: use_groups
        )
        assert_equal(*both(model, images))


@pytest.mark.parametrize("width", [3, 16, 32])
def test_float32_gradients_equal_vmap(width: int) -> None:
    model = nn.Sequential(nn.Conv2d(width, 32, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.LazyLinear(CLASSES))
    images = noise(5, width, 12, 12).float()
    model(images)
    labels, size = torch.arange(5) % CLASSES, sum(parameter.numel() for parameter in model.parameters())
    fast, slow = torch.empty(5, size), torch.empty(5, size)
    Layerwise(model.eval()).write(images, labels, fast)
    write_with_vmap(model, images, labels, slow)
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 2), st.booleans(), st.sampled_from([1, 3]))
def test_per_sample_gradients_of_sequences_and_volumes(
    count: int, stride: int, bias: bool, dimensions: int
) -> None:
    layer_class = nn.Conv1d if dimensions == 1 else nn.Conv3d
    layer = layer_class(2, 4, 3, stride=stride, padding=1, groups=2, bias=bias)
    model = nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.LazyLinear(CLASSES)).double()
    images = noise(count, 2, *[5] * dimensions)
    model(images)
    assert_equal(*both(shaken(model), images))


PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=40, deadline=None)
@given(
    kernel=PAIRS,
    stride=PAIRS,
    dilation=PAIRS,
    padding=st.one_of(st.just("same"), st.tuples(st.integers(0, 2), st.integers(0, 2))),
    mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    bias=st.booleans(),
)
def test_batched_gradients(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: str | tuple[int, int],
    mode: str,
    bias: bool,
) -> None:
    # torch warns about a copy if an even kernel is padded to the same size.
    assume(padding != "same" or (stride == (1, 1) and kernel[0] % 2 == kernel[1] % 2 == 1))
    sizes = [
        padding if isinstance(padding, str) else padding[side] * 2 + 7 - dilation[side] * (kernel[side] - 1)
        for side in (0, 1)
    ]
    assume(all(isinstance(size, str) or size > 0 for size in sizes))
    layer = nn.Conv2d(
        2,
        3,
        kernel,
        stride=stride,
        dilation=dilation,
        padding=padding,
        padding_mode=mode,
        bias=bias,
        dtype=torch.float64,
    )
    width = layer(torch.zeros(1, 2, 7, 7, dtype=torch.float64)).numel()
    assert_batched_equal(
        nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(width, CLASSES, bias=bias)), 2, 7, 7
    )


@pytest.mark.parametrize("padding", ["same", "valid", (2, 1)])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_pad_equals_the_padding_of_the_layer(padding: str | tuple[int, int], mode: str) -> None:
    layer = nn.Conv2d(2, 3, (3, 5), padding=padding, padding_mode=mode, dilation=(2, 1), bias=False).double()
    images = noise(2, 2, 9, 8)
    convolved = nn.functional.conv2d(pad(layer, images), layer.weight, dilation=layer.dilation)
    assert torch.equal(convolved, layer(images))


def test_grouped_convolutions_have_no_batched_rule() -> None:
    assert find_batched_rule(nn.Conv2d(4, 4, 1)) is not None
    assert find_batched_rule(nn.Conv2d(4, 4, 1, groups=2)) is None
