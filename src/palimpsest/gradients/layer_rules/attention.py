"""Decomposition of multi-head attention into projections, softmax and products."""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.errors import ModelError
from palimpsest.gradients.factor_projection import FactorProjection
from palimpsest.gradients.layer_rules.linear import factored_linear_gradients, linear_gradients
from palimpsest.gradients.layer_rules.registry import (
    Record,
    register_decomposition,
    register_factored_rule,
    register_per_sample_rule,
)

# `MultiheadAttention` has its last projection in this subclass of `Linear`, which computes the same.
register_per_sample_rule(nn.modules.linear.NonDynamicallyQuantizableLinear)(linear_gradients)
register_factored_rule(nn.modules.linear.NonDynamicallyQuantizableLinear)(factored_linear_gradients)


@register_decomposition(nn.MultiheadAttention)
def decomposed_attention(  # noqa: PLR0917 - as the layer's forward method
    layer: nn.MultiheadAttention,
    record: Record,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Return outputs, and the attention weights if they are needed; see `Decomposition`."""
    del is_causal  # a hint only: the mask is given too
    if query.dim() != 3:
        raise ModelError(f"Attention got {query.dim()} dimensions. Its inputs need a batch dimension.")
    if not layer.batch_first:
        query, key, value = (tensor.transpose(0, 1) for tensor in (query, key, value))
    queries, keys, values = _project(layer, record, [query, key, value])
    added = keys.shape[1] - key.shape[1]
    if layer.add_zero_attn:
        keys, values, added = F.pad(keys, (0, 0, 0, 1)), F.pad(values, (0, 0, 0, 1)), added + 1
    queries, keys, values = (_by_head(layer, tensor) for tensor in (queries, keys, values))
    scores = queries @ keys.mT / math.sqrt(layer.head_dim)
    if attn_mask is not None:
        scores = scores + _additive(attn_mask, scores, added).view(-1, *_heads(attn_mask, scores))
    if key_padding_mask is not None:
        scores = scores + _additive(key_padding_mask, scores, added)[:, None, None]
    weights = scores.softmax(dim=3)
    outputs = layer.out_proj((weights @ values).transpose(1, 2).flatten(2))
    outputs = outputs if layer.batch_first else outputs.transpose(0, 1)
    if not need_weights:
        return outputs, None
    return outputs, weights.mean(1) if average_attn_weights else weights


def _project(layer: nn.MultiheadAttention, record: Record, inputs: list[Tensor]) -> list[Tensor]:
    """Return queries, keys and values `[n, length, embedding]`, the latter two with the layer's own last position."""
    names = [name for name, _ in layer.named_parameters(recurse=False)]
    weights = _weights(layer)
    biases = [None] * 3 if layer.in_proj_bias is None else layer.in_proj_bias.detach().chunk(3)
    count = len(inputs[0])
    parts = [
        *(
            F.linear(tensor, weight, bias)
            for tensor, weight, bias in zip(inputs, weights, biases, strict=True)
        ),
        *(
            tensor.detach().expand(count, 1, -1)
            for tensor in (layer.bias_k, layer.bias_v)
            if tensor is not None
        ),
    ]
    lengths = [part.shape[1] for part in parts]

    def write(gradients: Tensor, saved: Sequence[Tensor], out: Mapping[str, Tensor]) -> None:
        _write_gradients(layer, gradients.split(lengths, dim=1), saved, out)

    def project(
        gradients: Tensor, saved: Sequence[Tensor], factors: Mapping[str, FactorProjection]
    ) -> dict[str, Tensor]:
        return _project_gradients(gradients.split(lengths, dim=1), saved, factors)

    # One tensor for all, since one rule writes the gradients of `in_proj_weight`, which belongs to three of the parts.
    projected = record(torch.cat(parts, dim=1), names, inputs, write, project).split(lengths, dim=1)
    queries, keys, values, *last = projected
    if last:
        keys, values = torch.cat([keys, last[0]], dim=1), torch.cat([values, last[1]], dim=1)
    return [queries, keys, values]


def _write_gradients(
    layer: nn.MultiheadAttention,
    gradients: Sequence[Tensor],
    inputs: Sequence[Tensor],
    out: Mapping[str, Tensor],
) -> None:
    """Write each sample's gradients from those at the projections; see `PartRule`."""
    if "in_proj_weight" in out:
        weights = out["in_proj_weight"].chunk(3, dim=1)
    else:
        weights = [out.get(name) for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight")]
    for weight, gradient, tensor in zip(weights, gradients, inputs, strict=False):
        if weight is not None:
            torch.bmm(gradient.mT, tensor, out=weight)
    if "in_proj_bias" in out:
        torch.cat([gradient.sum(1) for gradient in gradients[:3]], dim=1, out=out["in_proj_bias"])
    for name, gradient in zip(("bias_k", "bias_v"), gradients[3:], strict=False):
        if name in out:
            out[name].copy_(gradient.unsqueeze(1))


def _project_gradients(
    gradients: Sequence[Tensor], inputs: Sequence[Tensor], factors: Mapping[str, FactorProjection]
) -> dict[str, Tensor]:
    """Project each sample's gradients of the weights from both sides; see `FactoredPartRule`."""
    names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
    projected = {
        name: factors[name].of_outer_products(gradient, tensor)
        for name, gradient, tensor in zip(names, gradients, inputs, strict=False)
        if name in factors
    }
    joint = factors.get("in_proj_weight")
    # Without a projection of the outputs, the gradient is three parts below one another, and not a sum of them.
    if joint is not None and joint.outputs is not None:
        projected["in_proj_weight"] = sum(
            (
                joint._replace(outputs=rows).of_outer_products(gradient, tensor)
                for rows, gradient, tensor in zip(joint.outputs.chunk(3), gradients, inputs, strict=False)
            ),
            start=gradients[0].new_zeros(()),
        )
    return projected


def _weights(layer: nn.MultiheadAttention) -> Sequence[Tensor]:
    """Return the weights of the projections of queries, keys and values, detached."""
    if layer.in_proj_weight is not None:
        return layer.in_proj_weight.detach().chunk(3)
    return [
        weight.detach()
        for weight in (layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight)
        if weight is not None
    ]


def _by_head(layer: nn.MultiheadAttention, tensor: Tensor) -> Tensor:
    """Return `[n, heads, length, head_dim]` for `[n, length, embedding]`."""
    return tensor.unflatten(2, (layer.num_heads, layer.head_dim)).transpose(1, 2)


def _additive(mask: Tensor, scores: Tensor, added: int) -> Tensor:
    """Return a mask to add to the scores, in which the positions that the layer adds are visible.

    Args:
        mask: `[..., keys]`: True where a key is hidden, or numbers to add.
        scores: The scores, for their type.
        added: Number of positions that the layer adds.
    """
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=scores.dtype).masked_fill_(mask, -math.inf)
    return F.pad(mask, (0, added))


def _heads(mask: Tensor, scores: Tensor) -> torch.Size:
    """Return the shape of a mask's part for one sample: one for all heads, or one for each."""
    return scores.shape[1:] if mask.dim() == 3 else torch.Size((1, *scores.shape[2:]))
