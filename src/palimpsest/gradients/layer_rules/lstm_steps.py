"""All steps of an LSTM as one function, whose backward pass needs a third of the operations that autograd would run."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class LstmSteps(Function):
    """Apply an LSTM's cell to each step (Hochreiter and Schmidhuber, with a forget gate)."""

    @staticmethod
    def forward(
        ctx: Any, steps: Tensor, hidden: Tensor, memory: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the hidden states after each step, `[t, n, hidden]`, and the last cell state `[n, hidden]`.

        Args:
            ctx: Autograd's context.
            steps: The gates' inputs without the hidden state's part, `[t, n, 4 * hidden]`, in the order of the layer:
                input, forget, cell and output gate.
            hidden: Initial hidden state, `[n, hidden]`.
            memory: Initial cell state, `[n, hidden]`.
            weight: `[hidden, 4 * hidden]`; it gets no gradient.
        """
        size = hidden.shape[1]
        gates, memories = torch.empty_like(steps), [memory]
        hiddens = steps.new_empty(len(steps), *hidden.shape)
        for step, gate, following in zip(steps.unbind(), gates.unbind(), hiddens.unbind(), strict=True):
            inputs = torch.addmm(step, hidden, weight)
            torch.sigmoid(inputs, out=gate)
            torch.tanh(inputs[:, 2 * size : 3 * size], out=gate[:, 2 * size : 3 * size])
            write, keep, values, read = gate.chunk(4, dim=1)
            memories.append(torch.addcmul(keep * memories[-1], write, values))
            torch.mul(read, memories[-1].tanh(), out=following)
            hidden = following
        ctx.save_for_backward(gates, torch.stack(memories), weight)
        return hiddens, memories[-1]

    @staticmethod
    @once_differentiable
    # The types of once_differentiable lose the parameters' names.
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return the gradients at steps, initial hidden state and initial cell state, from those at the outputs."""
        grad_hiddens, grad_memory = grad_outputs
        gates, memories, weight = ctx.saved_tensors
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
        grad_hidden, back = torch.zeros_like(memories[0]), weight.T.contiguous()
        for step in reversed(range(len(gates))):
            grad_hidden = grad_hidden + grad_hiddens[step]
            grad_memory = torch.addcmul(grad_memory, grad_hidden, memory_by_hidden[step])
            grad_gates = grad_steps[step]
            torch.mul(grad_memory.unsqueeze(1), gates_by_memory[step], out=grad_gates[:, :3])
            torch.mul(grad_hidden, gate_by_hidden[step], out=grad_gates[:, 3])
            grad_hidden = grad_gates.flatten(1) @ back
            grad_memory = grad_memory * keep[step]
        return grad_steps.flatten(2), grad_hidden, grad_memory, None
