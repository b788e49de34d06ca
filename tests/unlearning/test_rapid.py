import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from palimpsest.config import UnlearningConfig
from palimpsest.federation import Federation, accuracy, train
from palimpsest.models import load_parameters
from palimpsest.unlearning import DiagonalNewton, Place, RapidRetraining, block_mean, make_request


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=20), st.integers(1, 7))
def test_block_means_equal_a_reference_implementation(values, block):
    expected = []
    for start in range(0, len(values), block):
        part = values[start : start + block]
        expected += [sum(part) / len(part)] * len(part)
    result = block_mean(torch.tensor(values, dtype=torch.float64), block)
    torch.testing.assert_close(result, torch.tensor(expected, dtype=torch.float64))


def test_blocks_are_those_of_the_flattened_tensor():
    values = torch.arange(6.0).view(2, 3)
    assert block_mean(values, 4).tolist() == [[1.5, 1.5, 1.5], [1.5, 4.5, 4.5]]


def test_steps_equal_the_formula():
    parameter = nn.Parameter(torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64))
    optimizer = DiagonalNewton(
        [parameter],
        learning_rate=0.1,
        weight_decay=0.5,
        betas=(0.9, 0.99),
        damping=0.01,
        block=1,
        batch_size=8,
    )
    expected, m, v = parameter.detach().clone(), torch.zeros(3), torch.zeros(3)
    generator = torch.Generator().manual_seed(2)
    for step in range(1, 5):
        gradient = torch.randn(3, generator=generator, dtype=torch.float64)
        parameter.grad = gradient.clone()
        optimizer.step()
        m = 0.9 * m + 0.1 * (gradient + 0.5 * expected)
        v = 0.99 * v + 0.01 * 8 * gradient**2
        expected -= 0.1 * (m / (1 - 0.9**step)) / (v / (1 - 0.99**step) + 0.01)
        torch.testing.assert_close(parameter.detach(), expected)
    optimizer.zero_grad()
    assert parameter.grad is None


def test_learns_the_retained_samples_in_half_the_rounds(data, lenet, config):
    settings = config(rounds=16, local_epochs=3)
    original = train(Federation(data, lenet, settings, 1))
    federation = Federation(data, lenet, settings, 1)
    request = make_request(UnlearningConfig(scenario="class", classes=(1,)), data, seed=1)
    result = RapidRetraining(share_of_rounds=0.5)(
        original, request, federation, schedule=federation.schedule(), place=Place()
    )
    assert len(result.rounds) == 8
    model = load_parameters(federation.network(), result.parameters)
    assert accuracy(model, data.train.subset(request.rows)) == 0
    assert accuracy(model, data.train.subset(request.retained_rows)) > 0.9


@pytest.mark.parametrize(("share", "rounds"), [(1.0, 3), (0.5, 2), (0.01, 1)])
def test_rounds_the_share_of_rounds_up(data, lenet, config, share, rounds):
    federation = Federation(data, lenet, config(), 1)
    original = train(Federation(data, lenet, config(), 1))
    request = make_request(UnlearningConfig(count=3), data, seed=1)
    method = RapidRetraining(share_of_rounds=share)
    result = method(original, request, federation, schedule=federation.schedule(), place=Place())
    assert len(result.rounds) == rounds
