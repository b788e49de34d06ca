"""Gradient rule for embeddings: output gradients are summed in the rows of their tokens."""

from collections.abc import Mapping

from torch import Tensor, nn

from palimpsest.gradients.layer_rules.registry import register_per_sample_rule


def _is_plain(layer: nn.Embedding) -> bool:
    """Return True if a layer neither renormalizes its weights nor counts tokens over the batch."""
    return layer.max_norm is None and not layer.scale_grad_by_freq


@register_per_sample_rule(nn.Embedding, supports=_is_plain)
def embedding_gradients(
    layer: nn.Embedding, inputs: Tensor, grad_outputs: Tensor, out: Mapping[str, Tensor]
) -> None:
    """Write each sample's gradients; see `PerSampleRule`."""
    tokens = inputs.flatten(1)
    grad_outputs = grad_outputs.reshape(len(inputs), -1, layer.embedding_dim)
    if layer.padding_idx is not None:
        grad_outputs = grad_outputs * (tokens != layer.padding_idx).unsqueeze(2)
    out["weight"].zero_().scatter_add_(1, tokens.unsqueeze(2).expand_as(grad_outputs), grad_outputs)
