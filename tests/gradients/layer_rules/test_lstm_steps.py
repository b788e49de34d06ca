from functools import partial

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.layer_gradients import noise
from torch import Tensor, nn

from palimpsest.gradients.layer_rules.lstm_steps import LstmSteps

STEPS, SAMPLES, SIZE = 4, 3, 2


def arguments(steps: int = STEPS, samples: int = SAMPLES, size: int = SIZE) -> tuple[list[Tensor], Tensor]:
    """Make gates' inputs, initial hidden state and initial cell state that require gradients, and `weight_hh`."""
    shapes = (steps, samples, 4 * size), (samples, size), (samples, size)
    unknowns = [noise(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes)]
    return unknowns, noise(4 * size, size, seed=3)


def lstm_steps(steps: Tensor, hidden: Tensor, memory: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Apply the function to a layer whose inputs are the gates' inputs: an identity as weight, and no bias."""
    width = len(weight)
    parameters = [torch.eye(width, dtype=weight.dtype), weight, *torch.zeros(2, width, dtype=weight.dtype)]
    return LstmSteps.apply(steps, hidden, memory, steps.detach().transpose(0, 1), parameters)


def test_the_backward_pass_has_the_derivatives_of_the_forward_pass() -> None:
    unknowns, weight = arguments()
    assert torch.autograd.gradcheck(partial(lstm_steps, weight=weight), unknowns)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 4))
def test_steps_and_gradients_equal_those_of_a_cell(steps: int, samples: int, size: int) -> None:
    unknowns, weight = arguments(steps, samples, size)
    cell = nn.LSTMCell(4 * size, size, bias=False).double().requires_grad_(False)
    cell.weight_ih.copy_(torch.eye(4 * size))
    cell.weight_hh.copy_(weight)
    inputs, *state = unknowns
    hiddens = list[Tensor]()
    for step in inputs:
        state = list(cell(step, tuple(state)))
        hiddens.append(state[0])
    expected = torch.stack(hiddens), state[1]
    found = lstm_steps(*unknowns, weight)
    gradients = [
        torch.autograd.grad(sum((output * output.sin()).sum() for output in outputs), unknowns)
        for outputs in (found, expected)
    ]
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*gradients)


def test_a_gradient_at_one_output_only_is_enough() -> None:
    unknowns, weight = arguments()
    hiddens, memory = lstm_steps(*unknowns, weight)
    both = torch.autograd.grad(hiddens.sum() + memory.sum(), unknowns, retain_graph=True)
    apart = [torch.autograd.grad(output.sum(), unknowns, retain_graph=True) for output in (hiddens, memory)]
    torch.testing.assert_close(both, tuple(map(torch.add, *apart)))
