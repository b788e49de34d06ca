import math

import numpy as np
import pytest
import torch

from palimpsest.federation import FedAdagrad, FedAdam, Federation, FedYogi, Reply, train


def one_step(name, delta, m, v, number):
    """Return the step of one coordinate in one round after Reddi et al. 2021, with Flower's constants."""
    if name == "fedadagrad":
        m, v = delta, v + delta**2
        return 0.1 * m / (math.sqrt(v) + 1e-3), m, v
    m = 0.9 * m + 0.1 * delta
    if name == "fedadam":
        v = 0.99 * v + 0.01 * delta**2
        eta = 0.1 * math.sqrt(1 - 0.99 ** (number + 1)) / (1 - 0.9 ** (number + 1))
        return eta * m / (math.sqrt(v) + 1e-3), m, v
    v = v - 0.01 * delta**2 * np.sign(v - delta**2)
    return 0.01 * m / (math.sqrt(v) + 1e-3), m, v


@pytest.mark.parametrize(
    ("name", "aggregation"), [("fedadam", FedAdam()), ("fedyogi", FedYogi()), ("fedadagrad", FedAdagrad())]
)
def test_equals_the_papers_formula_for_five_rounds(name, aggregation):
    generator = torch.Generator().manual_seed(3)
    current = {"w": torch.randn(4, generator=generator), "running_mean": torch.zeros(2)}
    expected = current["w"].double().numpy().copy()
    m, v, state = np.zeros(4), np.zeros(4), {}
    for index in range(5):
        first, second = (torch.randn(4, generator=generator) * 0.1 for _ in range(2))
        replies = [
            Reply(0, 1, {"w": current["w"] + first, "running_mean": torch.tensor([1.0, 2.0])}, 0.0),
            Reply(1, 3, {"w": current["w"] + second, "running_mean": torch.tensor([5.0, 2.0])}, 0.0),
        ]
        delta = (first.double() + 3 * second.double()).numpy() / 4
        current, state = aggregation(current, iter(replies), state, round_index=index, trainable=["w"])
        for place in range(4):
            step, m[place], v[place] = one_step(name, delta[place], m[place], v[place], index + 1)
            expected[place] += step
        np.testing.assert_allclose(current["w"].numpy(), expected, rtol=1e-4, atol=1e-6)
        assert current["running_mean"].tolist() == [4.0, 2.0]


@pytest.mark.parametrize("aggregation", ["fedadam", "fedyogi", "fedadagrad"])
def test_batch_norm_variances_stay_positive(data, resnet, config, aggregation):
    result = train(Federation(data, resnet, config(aggregation=aggregation, rounds=2, fraction=0.4), 1))
    variances = [value for name, value in result.parameters.items() if name.endswith("running_var")]
    assert variances
    assert all((value > 0).all() for value in variances)
    assert all(value.isfinite().all() for value in result.parameters.values())
