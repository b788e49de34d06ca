"""Gradient rules for embeddings: output gradients are summed in the rows of their tokens."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.gradients.factor_projection import FactorProjection
from palimpsest.gradients.layer_rules.registry import register_factored_rule, register_per_sample_rule


def _is_plain(layer: nn.Embedding) -> bool:
    """Return True if a layer neither renormalizes its weights nor counts tokens over the batch."""
    return layer.max_norm is None and not layer.scale_grad_by_freq


@register_per_sample_rule(nn.Embedding, supports=_is_plain)
def embedding_gradients(
    layer: nn.Embedding, inputs: Tensor, grad_outputs: Tensor, out: Mapping[str, Tensor]
) -> None:
    """Write each sample's gradients; see `PerSampleRule`."""
    tokens, grad_outputs = _by_token(layer, inputs, grad_outputs)
    out["weight"].zero_().scatter_add_(1, tokens.unsqueeze(2).expand_as(grad_outputs), grad_outputs)


@register_factored_rule(nn.Embedding, supports=_is_plain)
def factored_embedding_gradients(
    layer: nn.Embedding, inputs: Tensor, grad_outputs: Tensor, factors: FactorProjection
) -> Tensor:
    """Project each sample's gradient of the weight; see `FactoredRule`.

    The factors are the tokens as one-hot vectors and the output gradients. A projected one-hot vector is a row.
    """
    tokens, grad_outputs = _by_token(layer, inputs, grad_outputs)
    if factors.outputs is None:
        rows = F.one_hot(tokens, layer.num_embeddings).to(grad_outputs)
    else:
        rows = F.embedding(tokens, factors.outputs)
    return rows.mT @ factors.of_inputs(grad_outputs)


def _by_token(layer: nn.Embedding, inputs: Tensor, grad_outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return tokens `[n, positions]` and their output gradients `[n, positions, width]`, which are zero for padding."""
    tokens = inputs.flatten(1)
    grad_outputs = grad_outputs.reshape(len(inputs), -1, layer.embedding_dim)
    if layer.padding_idx is not None:
        grad_outputs = grad_outputs * (tokens != layer.padding_idx).unsqueeze(2)
    return tokens, grad_outputs
