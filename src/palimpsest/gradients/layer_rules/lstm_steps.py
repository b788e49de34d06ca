"""All steps of an LSTM as one function, whose backward pass needs a third of the operations that autograd would run."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class LstmSteps(Function):
    """Apply an LSTM's cell to each step (Hochreiter and Schmidhuber, with a forget gate).

    The forward pass is torch's own kernel. The gates and the cell states, which it does not return, follow from the
    hidden states in the backward pass, so that a forward pass alone costs as much as the layer's.
    """

    @staticmethod
    def forward(
        ctx: Any,
        steps: Tensor,
        hidden: Tensor,
        memory: Tensor,
        inputs: Tensor,
        parameters: Sequence[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return the hidden states after each step, `[t, n, hidden]`, and the last cell state `[n, hidden]`.

        Args:
            ctx: Autograd's context.
            steps: The gates' inputs without the hidden state's part, `[t, n, 4 * hidden]`, in the order of the layer:
                input, forget, cell and output gate.
            hidden: Initial hidden state, `[n, hidden]`.
            memory: Initial cell state, `[n, hidden]`.
            inputs: The layer's inputs, from which `steps` follow, `[n, t, inputs]`. They get no gradient.
            parameters: `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh` of the layer. They get no gradient.
        """
        # cuDNN would warn that the weights are not one piece of memory.
        with torch.backends.cudnn.flags(enabled=False):
            hiddens, _, last = torch.lstm(
                inputs.transpose(0, 1),
                [hidden.unsqueeze(0), memory.unsqueeze(0)],
                list(parameters),
                has_biases=True,
                num_layers=1,
                dropout=0.0,
                train=False,
                bidirectional=False,
                batch_first=False,
            )
        # A copy, since the network may change the outputs in place.
        before = torch.cat([hidden.unsqueeze(0), hiddens[:-1]])
        ctx.save_for_backward(steps, before, memory, parameters[1])
        return hiddens, last.squeeze(0).clone()

    @staticmethod
    @once_differentiable
    # The types of once_differentiable lose the parameters' names.
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Return the gradients at steps, initial hidden state and initial cell state, from those at the outputs."""
        grad_hiddens, grad_memory = grad_outputs
        weight = ctx.saved_tensors[-1]
        gates, memories = _gates_and_memories(*ctx.saved_tensors)
        write, keep, values, read = gates.chunk(4, dim=2)
        shown = memories[1:].tanh()
        # Everything that does not depend on later steps is computed for all steps at once.
        memory_by_hidden = read * (1 - shown.square())
        gate_by_hidden = shown * read * (1 - read)
        gates_by_memory = torch.stack(
            [
                values * write * (1 - write),
                memories[:-1] * keep * (1 - keep),
                write * (1 - values.square()),
            ],
            dim=2,
        )
        grad_steps = torch.empty_like(gates).unflatten(2, (4, -1))
        grad_hidden = grad_hiddens[-1]
        earlier = torch.cat([torch.zeros_like(memories[:1]), grad_hiddens[:-1]])
        # Views of single steps, taken at once: one by one they would cost as much as the operations on them.
        each = [
            tensor.unbind()
            for tensor in (
                earlier,
                memory_by_hidden,
                gates_by_memory,
                gate_by_hidden,
                keep,
                grad_steps[:, :, :3],
                grad_steps[:, :, 3],
                grad_steps.flatten(2),
            )
        ]
        for grad_earlier, by_hidden, by_memory, output_by_hidden, kept, three, output, four in zip(
            *map(reversed, each), strict=True
        ):
            grad_memory = torch.addcmul(grad_memory, grad_hidden, by_hidden)
            torch.mul(grad_memory.unsqueeze(1), by_memory, out=three)
            torch.mul(grad_hidden, output_by_hidden, out=output)
            grad_hidden = torch.addmm(grad_earlier, four, weight)
            grad_memory = grad_memory * kept
        return grad_steps.flatten(2), grad_hidden, grad_memory, None, None


def _gates_and_memories(
    steps: Tensor, before: Tensor, memory: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute the gates `[t, n, 4 * hidden]`, and the cell states before each step and after the last."""
    inputs = torch.addmm(steps.flatten(0, 1), before.flatten(0, 1), weight.T).view_as(steps)
    gates, cell = inputs.sigmoid(), slice(2 * memory.shape[1], 3 * memory.shape[1])
    torch.tanh(inputs[..., cell], out=gates[..., cell])
    write, keep, values, _ = gates.chunk(4, dim=2)
    memories = gates.new_empty(len(steps) + 1, *memory.shape)
    memories[0] = memory
    each = memories.unbind()
    for added, kept, earlier, later in zip(
        (write * values).unbind(), keep.unbind(), each[:-1], each[1:], strict=True
    ):
        torch.addcmul(added, kept, earlier, out=later)
    return gates, memories
