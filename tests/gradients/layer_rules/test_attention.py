from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.layer_gradients import CLASSES, assert_layerwise_equals_autograd, noise, shaken
from torch import Tensor, nn

LENGTH, WIDTH, HEADS = 4, 8, 2
LAYERS = st.fixed_dictionaries(
    {
        "bias": st.booleans(),
        "add_bias_kv": st.booleans(),
        "add_zero_attn": st.booleans(),
        "batch_first": st.booleans(),
        "kdim": st.sampled_from([None, 6]),
        "vdim": st.sampled_from([None, 7]),
    }
)
CALLS = st.fixed_dictionaries(
    {
        "mask": st.sampled_from([None, "boolean", "numbers", "by head"]),
        "padding": st.sampled_from([None, "boolean", "numbers"]),
        "need_weights": st.booleans(),
        "average": st.booleans(),
    }
)


class Attention(nn.Module):
    """Attention of projected rows to themselves, or to other projections if the layer's widths differ."""

    def __init__(self, layer: dict[str, Any], call: dict[str, Any]) -> None:
        super().__init__()
        self.call = call
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, **layer)
        widths = [WIDTH, layer.get("kdim") or WIDTH, layer.get("vdim") or WIDTH]
        self.projections = nn.ModuleList(nn.Linear(WIDTH, width) for width in widths)
        self.head = nn.LazyLinear(CLASSES)

    def forward(self, rows: Tensor) -> Tensor:
        tensors = [projection(rows) for projection in self.projections]
        first = self.attention.batch_first
        outputs, weights = self.attention(
            *(tensor if first else tensor.transpose(0, 1) for tensor in tensors),
            key_padding_mask=self.padding(rows),
            attn_mask=self.mask(rows),
            need_weights=self.call["need_weights"],
            average_attn_weights=self.call["average"],
        )
        parts = [outputs if first else outputs.transpose(0, 1), weights]
        return self.head(torch.cat([part.flatten(1) for part in parts if part is not None], dim=1))

    def mask(self, rows: Tensor) -> Tensor | None:
        hidden = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
        numbers = noise(LENGTH, LENGTH).to(rows)
        by_head = hidden.repeat(len(rows) * HEADS, 1, 1)
        return {"boolean": hidden, "numbers": numbers, "by head": by_head}.get(self.call["mask"])

    def padding(self, rows: Tensor) -> Tensor | None:
        first = torch.arange(LENGTH) == 0
        return {"boolean": (rows[:, :, 0] > 0.5) & ~first, "numbers": rows[:, :, 0].detach()}.get(
            self.call["padding"]
        )


@pytest.mark.filterwarnings("ignore:Support for mismatched:UserWarning")
@settings(max_examples=40, deadline=None, derandomize=True)
@given(LAYERS, CALLS)
def test_equals_one_backward_per_sample(layer: dict[str, Any], call: dict[str, Any]) -> None:
    model = Attention(layer, call).double()
    model(noise(1, LENGTH, WIDTH))
    assert_layerwise_equals_autograd(shaken(model), noise(5, LENGTH, WIDTH))


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_encoder_layers_work(norm_first: bool, frozen: bool) -> None:
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 16, norm_first=norm_first, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    encoder.layers[0].requires_grad_(not frozen)
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), encoder, nn.Flatten(), nn.Linear(LENGTH * WIDTH, CLASSES))
    assert_layerwise_equals_autograd(shaken(model), noise(5, LENGTH, WIDTH))


def test_decoder_layers_work() -> None:
    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = nn.TransformerDecoderLayer(WIDTH, HEADS, 16, batch_first=True)
            self.head = nn.Linear(WIDTH, CLASSES)

        def forward(self, rows: Tensor) -> Tensor:
            return self.head(self.decoder(rows[:, :2], rows[:, 2:])[:, 0])

    assert_layerwise_equals_autograd(shaken(Decoder()), noise(5, LENGTH, WIDTH))
