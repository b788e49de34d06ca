"""Decomposition of simple recurrent layers: the cell is unrolled, and all gradients follow from those at its inputs."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from palimpsest.gradients.layer_rules.recurrence import Direction, State, unroll_layer
from palimpsest.gradients.layer_rules.registry import Record, register_decomposition


@register_decomposition(nn.RNN)
def decomposed_rnn(
    layer: nn.RNN,
    record: Record,
    input: Tensor | PackedSequence,  # noqa: A002 - as the layer's forward method names it
    hx: Tensor | None = None,
) -> tuple[Tensor | PackedSequence, Tensor]:
    """Return outputs and last hidden states; see `Decomposition`."""
    activation = torch.tanh if layer.nonlinearity == "tanh" else torch.relu

    def unroll(direction: Direction) -> tuple[Tensor, State]:
        weight = direction.weight_hh.T.contiguous()

        def cell(step: Tensor, state: State) -> State:
            return (activation(torch.addmm(step, state[0], weight)),)

        return direction.unroll(record, direction.bias_ih + direction.bias_hh, direction.each_step(cell))

    outputs, (hidden,) = unroll_layer(layer, input, [hx], unroll)
    return outputs, hidden
