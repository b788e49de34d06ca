import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.config import FederationConfig
from palimpsest.federation import Federation, Reply, train, weighted_mean
from palimpsest.registry import AGGREGATIONS


def reply(client, samples, **parameters):
    return Reply(client, samples, {name: torch.as_tensor(value) for name, value in parameters.items()}, 0.0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 999), st.integers(0, 2**31)), min_size=1, max_size=6))
def test_weighted_mean_is_equation_1(parts):
    tensors = [torch.randn(3, 2, generator=torch.Generator().manual_seed(seed)) for _, seed in parts]
    total = sum(samples for samples, _ in parts)
    expected = sum(
        samples / total * tensor.double() for (samples, _), tensor in zip(parts, tensors, strict=True)
    )
    replies = [reply(0, samples, w=tensor) for (samples, _), tensor in zip(parts, tensors, strict=True)]
    result = weighted_mean(iter(replies))["w"]
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.double(), expected, rtol=1e-6, atol=1e-7)


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=9), st.integers(0, 2**31))
def test_mean_of_identical_clients_has_the_same_bits(samples, seed):
    tensor = torch.randn(50, generator=torch.Generator().manual_seed(seed))
    result = weighted_mean(reply(0, count, w=tensor) for count in samples)
    assert torch.equal(result["w"], tensor)


def test_rounds_integer_buffers():
    result = weighted_mean([reply(0, 1, steps=torch.tensor(3)), reply(1, 3, steps=torch.tensor(8))])
    assert result["steps"].dtype == torch.int64
    assert result["steps"] == 7  # 6.75


def test_does_not_modify_a_reply():
    one = reply(0, 2, w=torch.ones(3))
    weighted_mean([one, reply(1, 2, w=torch.zeros(3))])
    assert torch.equal(one.parameters["w"], torch.ones(3))


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 100))
def test_fedprox_with_mu_0_is_fedavg(data, lenet, seed):
    common = {"clients": 5, "fraction": 0.6, "rounds": 2, "batch_size": 8}
    fedavg = train(Federation(data, lenet, FederationConfig(**common), seed))
    zero_mu = train(
        Federation(data, lenet, FederationConfig(**common, aggregation="fedprox", proximal_mu=0), seed)
    )
    positive_mu = train(
        Federation(data, lenet, FederationConfig(**common, aggregation="fedprox", proximal_mu=1), seed)
    )
    for name, value in fedavg.parameters.items():
        assert torch.equal(value, zero_mu.parameters[name])
    assert any(
        not torch.equal(value, positive_mu.parameters[name]) for name, value in fedavg.parameters.items()
    )


def test_all_five_aggregations_are_registered():
    assert {"fedavg", "fedprox", "fedadam", "fedyogi", "fedadagrad"} <= set(AGGREGATIONS.names())
