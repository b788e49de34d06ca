"""Decomposition of GRUs: the cell is unrolled, and all gradients follow from those at its gates."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from palimpsest.gradients.layer_rules.recurrence import Direction, State, unroll_layer
from palimpsest.gradients.layer_rules.registry import Record, register_decomposition


@register_decomposition(nn.GRU)
def decomposed_gru(
    layer: nn.GRU,
    record: Record,
    input: Tensor | PackedSequence,  # noqa: A002 - as the layer's forward method names it
    hx: Tensor | None = None,
) -> tuple[Tensor | PackedSequence, Tensor]:
    """Return outputs and last hidden states; see `Decomposition`."""

    def unroll(direction: Direction) -> tuple[Tensor, State]:
        weight, resets = direction.weight_hh.T.contiguous(), list[Tensor]()

        def cell(step: Tensor, state: State) -> State:
            (hidden,) = state
            reset_in, update_in, values_in = step.chunk(3, dim=1)
            reset_hidden, update_hidden, values_hidden = torch.addmm(direction.bias_hh, hidden, weight).chunk(
                3, dim=1
            )
            reset = (reset_in + reset_hidden).sigmoid()
            resets.append(reset.detach())
            update = (update_in + update_hidden).sigmoid()
            return (torch.lerp((values_in + reset * values_hidden).tanh(), hidden, update),)

        def grad_hidden_gates(grad_gates: Tensor) -> Tensor:
            # The values' product with the hidden state is scaled by the reset gate.
            size = layer.hidden_size
            gates, values = grad_gates.split([2 * size, size], dim=2)
            return torch.cat([gates, values * torch.stack(resets, dim=1)], dim=2)

        return direction.unroll(record, direction.bias_ih, direction.each_step(cell), grad_hidden_gates)

    outputs, (hidden,) = unroll_layer(layer, input, [hx], unroll)
    return outputs, hidden
