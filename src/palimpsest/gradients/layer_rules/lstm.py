"""Decomposition of LSTMs: the cell is unrolled, and all gradients follow from those at its gates."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from palimpsest.gradients.layer_rules.lstm_steps import LstmSteps
from palimpsest.gradients.layer_rules.recurrence import Direction, State, has_no_projection, unroll_layer
from palimpsest.gradients.layer_rules.registry import Record, register_decomposition


@register_decomposition(nn.LSTM, supports=has_no_projection)
def decomposed_lstm(
    layer: nn.LSTM,
    record: Record,
    input: Tensor | PackedSequence,  # noqa: A002 - as the layer's forward method names it
    hx: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor | PackedSequence, tuple[Tensor, Tensor]]:
    """Return outputs, last hidden states and last cell states; see `Decomposition`."""

    def unroll(direction: Direction) -> tuple[Tensor, State]:
        weight, bias = direction.weight_hh.T.contiguous(), direction.bias_ih + direction.bias_hh

        def all_steps(steps: Tensor, state: State) -> tuple[Tensor, State]:
            hiddens, memory = LstmSteps.apply(steps, *state, direction.inputs.detach(), direction[4:])
            return hiddens, (hiddens[-1], memory)

        def cell(step: Tensor, state: State) -> State:
            hidden, memory = state
            gates = torch.addmm(step, hidden, weight)
            write, keep, values, read = gates.chunk(4, dim=1)
            memory = keep.sigmoid() * memory + write.sigmoid() * values.tanh()
            return read.sigmoid() * memory.tanh(), memory

        if direction.exists is None:
            return direction.unroll(record, bias, all_steps)
        return direction.unroll(record, bias, direction.each_step(cell))

    outputs, (hidden, memory) = unroll_layer(layer, input, hx or (None, None), unroll)
    return outputs, (hidden, memory)
