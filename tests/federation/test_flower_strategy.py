import pytest
import torch

from palimpsest.errors import ConfigurationError, FederationError
from palimpsest.federation import Federation, FlowerStrategy, Reply, train
from palimpsest.registry import AGGREGATIONS
from palimpsest.storage import Parameters

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest-audit[flower]'")

NAMES = ("layer.weight", "bias")


def random_parameters(generator: torch.Generator) -> Parameters:
    return {
        "layer.weight": torch.randn(3, 2, generator=generator),
        "bias": torch.randn(2, generator=generator),
    }


def rounds(count: int) -> tuple[Parameters, list[list[Reply]]]:
    generator = torch.Generator().manual_seed(0)
    start = random_parameters(generator)
    return start, [
        [Reply(i, 10 * (i + 1), random_parameters(generator), 0.5) for i in range(3)] for _ in range(count)
    ]


def run(aggregation, start: Parameters, replies: list[list[Reply]]) -> Parameters:
    current, state = start, {}
    for index, round_replies in enumerate(replies):
        current, state = aggregation(current, iter(round_replies), state, round_index=index, trainable=NAMES)
    return current


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("fedavg", "FedAvg"),
        ("fedprox", "FedProx"),
        ("fedadam", "FedAdam"),
        ("fedyogi", "FedYogi"),
        ("fedadagrad", "FedAdagrad"),
    ],
)
def test_each_aggregation_equals_flowers_strategy_of_that_name(name: str, strategy: str) -> None:
    start, replies = rounds(4)
    arguments = {"proximal_mu": 0.01} if strategy == "FedProx" else {}
    expected = run(FlowerStrategy(strategy=strategy, strategy_arguments=arguments), start, replies)
    for key, value in run(AGGREGATIONS.get(name)(), start, replies).items():
        torch.testing.assert_close(value, expected[key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("strategy", "arguments"),
    [
        ("FedAvgM", {"server_momentum": 0.9}),
        ("FedAdam", {}),
        ("FedMedian", {}),
        ("FedTrimmedAvg", {"beta": 0.2}),
    ],
)
def test_a_restored_strategy_continues_like_one_instance(strategy: str, arguments: dict) -> None:
    """A strategy rebuilt from stored tensors in each round gives the same results as one instance."""
    from flwr.app import ConfigRecord

    from palimpsest.federation.flower_records import pack_parameters, unpack_parameters
    from palimpsest.federation.flower_strategy import _Nodes, _reply_message, _task_identity

    start, replies = rounds(3)
    adapted = FlowerStrategy(strategy=strategy, strategy_arguments=arguments)
    instance, current = adapted._build(), start
    for index, round_replies in enumerate(replies):
        with _task_identity():
            instance.configure_train(index + 1, pack_parameters(current), ConfigRecord(), _Nodes([1, 2, 3]))
            arrays, _ = instance.aggregate_train(
                index + 1, [_reply_message(reply) for reply in round_replies]
            )
        current = {name: value.to(start[name].dtype) for name, value in unpack_parameters(arrays).items()}
    for name, value in run(adapted, start, replies).items():
        assert torch.equal(value, current[name])


def test_training_with_flowers_fedavg_equals_training_with_fedavg(data, lenet, config) -> None:
    built_in = train(Federation(data, lenet, config(rounds=2), 1))
    flower = train(Federation(data, lenet, config(rounds=2, aggregation="flower", strategy="FedAvg"), 1))
    for name, value in built_in.parameters.items():
        torch.testing.assert_close(flower.parameters[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [{"strategy": "FedAvgg"}, {"strategy": "nowhere:Strategy"}, {"strategy_arguments": {"speed": 3}}],
)
def test_rejects_an_invalid_strategy(settings: dict) -> None:
    start, replies = rounds(1)
    with pytest.raises(ConfigurationError, match="can't be created"):
        run(FlowerStrategy(**settings), start, replies)


class Unstorable:
    """Strategy whose state can't be stored."""

    def __init__(self, **_: object) -> None:
        self.secret = None

    def configure_train(self, *_: object) -> list:
        return []

    def aggregate_train(self, _: int, replies: list) -> tuple:
        self.secret = object()
        return replies[0].content["arrays"], None


def test_rejects_a_state_that_cannot_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FlowerStrategy, "_build", lambda self: Unstorable())
    start, replies = rounds(1)
    with pytest.raises(FederationError, match="'secret', a object"):
        run(FlowerStrategy(), start, replies)
