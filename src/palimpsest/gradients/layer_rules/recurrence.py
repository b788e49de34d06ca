"""Unrolling of recurrent layers over steps, directions and levels, shared by the decompositions of all kinds."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from palimpsest.errors import ModelError
from palimpsest.gradients.factor_projection import FactorProjection
from palimpsest.gradients.layer_rules.registry import Record

State = tuple[Tensor, ...]
"""State of a cell: the hidden state `[n, hidden]`, which is the cell's output, and what else it carries on."""
Cell = Callable[[Tensor, State], State]
"""Maps the gates' inputs `[n, gates * hidden]` of a step, and a state, to the next state."""
Steps = Callable[[Tensor, State], tuple[Tensor, State]]
"""Maps the gates' inputs of all steps, `[t, n, gates * hidden]`, and the initial state to the hidden states after each
step, `[t, n, hidden]`, and the last state."""


class Direction(NamedTuple):
    """One direction of one level of a recurrent layer, with detached parameters.

    Args:
        inputs: `[n, t, inputs]`.
        exists: Which steps exist, `[n, t]`, or None if all do. A step that does not leaves the state as it is.
        state: Initial state.
        names: Names of the parameters in the layer.
        weight_ih: `[gates * hidden, inputs]`.
        weight_hh: `[gates * hidden, hidden]`.
        bias_ih: `[gates * hidden]`; zeros if the layer has no bias.
        bias_hh: `[gates * hidden]`; zeros if the layer has no bias.
    """

    inputs: Tensor
    exists: Tensor | None
    state: State
    names: Sequence[str]
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor

    def unroll(
        self,
        record: Record,
        bias: Tensor,
        run: Steps,
        grad_hidden_gates: Callable[[Tensor], Tensor] = lambda grad_gates: grad_gates,
    ) -> tuple[Tensor, State]:
        """Run all steps.

        Args:
            record: Called with the gates' inputs of all steps.
            bias: Bias of the gates' inputs, `[gates * hidden]`.
            run: Runs the steps.
            grad_hidden_gates: Maps the gradients at the gates' inputs, `[n, t, gates * hidden]`, to those at the
                products of hidden state and `weight_hh`. If omitted, these are the same.

        Returns:
            Outputs `[n, t, hidden]`, and the last state.
        """
        hidden = list[Tensor]()

        def outer_products(grad_gates: Tensor, inputs: Tensor) -> tuple[tuple[str, Tensor, Tensor], ...]:
            return ("ih", inputs, grad_gates), ("hh", hidden[0], grad_hidden_gates(grad_gates))

        def project(
            grad_gates: Tensor, saved: Sequence[Tensor], factors: Mapping[str, FactorProjection]
        ) -> dict[str, Tensor]:
            return {
                name: factors[name].of_outer_products(gradient, multiplied)
                for suffix, multiplied, gradient in outer_products(grad_gates, saved[0])
                for name in factors
                if name.startswith(f"weight_{suffix}_l")
            }

        def write(grad_gates: Tensor, saved: Sequence[Tensor], out: Mapping[str, Tensor]) -> None:
            by_kind = {name.rpartition("_l")[0]: tensor for name, tensor in out.items()}
            for suffix, multiplied, gradient in outer_products(grad_gates, saved[0]):
                if f"weight_{suffix}" in by_kind:
                    torch.bmm(gradient.mT, multiplied, out=by_kind[f"weight_{suffix}"])
                if f"bias_{suffix}" in by_kind:
                    torch.sum(gradient, 1, out=by_kind[f"bias_{suffix}"])

        gates = F.linear(self.inputs, self.weight_ih, bias)
        steps = record(gates, self.names, [self.inputs], write, project).transpose(0, 1).contiguous()
        outputs, state = run(steps, self.state)
        every = torch.cat([self.state[0].detach().unsqueeze(0), outputs.detach()])
        hidden.append(every[:-1].transpose(0, 1))
        outputs = outputs.transpose(0, 1)
        return outputs if self.exists is None else outputs * self.exists.unsqueeze(2), state

    def each_step(self, cell: Cell) -> Steps:
        """Return a function that applies a cell to each step that exists."""

        def run(steps: Tensor, state: State) -> tuple[Tensor, State]:
            masks = [None] * len(steps) if self.exists is None else self.exists.T.unsqueeze(2).unbind()
            hiddens = list[Tensor]()
            # Steps that are taken from a tensor one by one would each get a gradient of its size.
            for step, mask in zip(steps.unbind(), masks, strict=True):
                following = cell(step, state)
                if mask is not None:
                    following = tuple(
                        torch.where(mask, new, old) for new, old in zip(following, state, strict=True)
                    )
                state = following
                hiddens.append(state[0])
            return torch.stack(hiddens), state

        return run


def unroll_layer(
    layer: nn.RNNBase,
    inputs: Tensor | PackedSequence,
    initial: Sequence[Tensor | None],
    unroll: Callable[[Direction], tuple[Tensor, State]],
) -> tuple[Tensor | PackedSequence, list[Tensor]]:
    """Unroll all levels and directions of a recurrent layer.

    Args:
        layer: The layer, in evaluation mode, so without dropout between its levels.
        inputs: As for the layer's forward method, in batches.
        initial: Initial states `[levels * directions, n, hidden]`, one for each tensor of a state. None means
            zeros.
        unroll: Unrolls one direction of one level.

    Returns:
        The outputs in the form of the inputs, and the last states, in the order of `initial`.

    Raises:
        ModelError: The inputs are one sequence without a batch dimension.
    """
    sequences, exists = _padded(layer, inputs)
    directions = 1 + layer.bidirectional
    zeros = sequences.new_zeros(layer.num_layers * directions, len(sequences), layer.hidden_size)
    states = [zeros if state is None else state for state in initial]
    last = list[State]()
    for level in range(layer.num_layers):
        outputs = list[Tensor]()
        for backward in range(directions):
            state = tuple(each[level * directions + backward] for each in states)
            steps, existing = (sequences.flip(1), _flip(exists)) if backward else (sequences, exists)
            names, parameters = _parameters(layer, level, backward)
            result, state = unroll(Direction(steps, existing, state, names, *parameters))
            outputs.append(result.flip(1) if backward else result)
            last.append(state)
        sequences = torch.cat(outputs, dim=2) if directions > 1 else outputs[0]
    return _in_form_of(layer, inputs, sequences), [torch.stack(each) for each in zip(*last, strict=True)]


def has_no_projection(layer: nn.RNNBase) -> bool:
    """Return True if the outputs of a layer are its hidden states."""
    return layer.proj_size == 0


def _padded(layer: nn.RNNBase, inputs: Tensor | PackedSequence) -> tuple[Tensor, Tensor | None]:
    """Return sequences `[n, t, inputs]`, and which of their steps exist, `[n, t]`, unless all do."""
    if isinstance(inputs, PackedSequence):
        sequences, lengths = pad_packed_sequence(inputs, batch_first=True)
        steps = torch.arange(sequences.shape[1], device=sequences.device)
        return sequences, steps < lengths.to(sequences.device).unsqueeze(1)
    if inputs.dim() != 3:
        raise ModelError(
            f"A recurrent layer got {inputs.dim()} dimensions. Its inputs need a batch dimension."
        )
    return (inputs if layer.batch_first else inputs.transpose(0, 1)), None


def _in_form_of(
    layer: nn.RNNBase, inputs: Tensor | PackedSequence, outputs: Tensor
) -> Tensor | PackedSequence:
    """Return outputs `[n, t, width]` as the layer returns them for such inputs."""
    if not isinstance(inputs, PackedSequence):
        return outputs if layer.batch_first else outputs.transpose(0, 1)
    if inputs.sorted_indices is not None:
        outputs = outputs.index_select(0, inputs.sorted_indices)
    data = torch.cat([outputs[:size, step] for step, size in enumerate(inputs.batch_sizes.tolist())])
    return PackedSequence(data, inputs.batch_sizes, inputs.sorted_indices, inputs.unsorted_indices)


def _parameters(layer: nn.RNNBase, level: int, backward: int) -> tuple[list[str], list[Tensor]]:
    """Return names and values of the parameters of one direction of one level; without biases these are zeros."""
    suffix = f"_l{level}" + ("_reverse" if backward else "")
    names = [f"weight_ih{suffix}", f"weight_hh{suffix}"]
    if layer.bias:
        names += [f"bias_ih{suffix}", f"bias_hh{suffix}"]
    values = [getattr(layer, name).detach() for name in names]
    return names, values if layer.bias else [*values, *[values[0].new_zeros(len(values[0]))] * 2]


def _flip(exists: Tensor | None) -> Tensor | None:
    return None if exists is None else exists.flip(1)
