from itertools import product

import pytest
import torch
from tests.support.layer_gradients import noise, shaken
from torch import Tensor, nn

from palimpsest.gradients.layer_rules.channel_scale import (
    scale_and_shift,
    scale_batch_gradients,
    sum_over_positions,
)

BATCHES, SAMPLES, CHANNELS = 2, 3, 4
SHAPES = [(), (5,), (5, 2)]


def make_layer(bias: bool) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(CHANNELS, bias=bias)
    shaken(layer)
    return layer


def reference_scale_and_shift(layer: nn.BatchNorm2d, normalized: Tensor) -> Tensor:
    """Scale and shift one channel at a time (correct, slow)."""
    return torch.stack(
        [
            normalized[:, channel] * layer.weight[channel]
            + (0 if layer.bias is None else layer.bias[channel])
            for channel in range(CHANNELS)
        ],
        dim=1,
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_over_all_dimensions_but_the_first_two(shape: tuple[int, ...]) -> None:
    values = noise(3, CHANNELS, *shape)
    torch.testing.assert_close(sum_over_positions(values), values.reshape(3, CHANNELS, -1).sum(2))


@pytest.mark.parametrize(("shape", "bias"), list(product(SHAPES, [True, False])))
def test_scales_and_shifts_each_channel(shape: tuple[int, ...], bias: bool) -> None:
    layer, normalized = make_layer(bias), noise(3, CHANNELS, *shape)
    torch.testing.assert_close(
        scale_and_shift(layer, normalized), reference_scale_and_shift(layer, normalized)
    )


@pytest.mark.parametrize(("shape", "bias"), list(product(SHAPES, [True, False])))
def test_batch_gradients_equal_autograd(shape: tuple[int, ...], bias: bool) -> None:
    layer = make_layer(bias)
    normalized = noise(BATCHES * SAMPLES, CHANNELS, *shape)
    grad_outputs = noise(BATCHES * SAMPLES, CHANNELS, *shape, seed=1)
    found = scale_batch_gradients(layer, BATCHES, normalized, grad_outputs)
    assert set(found) == {name for name, _ in layer.named_parameters()}
    for batch in range(BATCHES):
        rows = slice(batch * SAMPLES, (batch + 1) * SAMPLES)
        outputs = reference_scale_and_shift(layer, normalized[rows])
        expected = torch.autograd.grad(outputs, list(layer.parameters()), grad_outputs[rows])
        for (name, _), gradient in zip(layer.named_parameters(), expected, strict=True):
            torch.testing.assert_close(found[name][batch], gradient)
