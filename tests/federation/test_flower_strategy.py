import pytest
import torch

from palimpsest.errors import ConfigurationError, FederationError
from palimpsest.federation import Federation, FlowerStrategy, Reply, train
from palimpsest.registry import AGGREGATIONS
from palimpsest.storage import Parameters

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest[flower]'")

NAMES = ("layer.weight", "bias")


def drawn(generator: torch.Generator) -> Parameters:
    return {
        "layer.weight": torch.randn(3, 2, generator=generator),
        "bias": torch.randn(2, generator=generator),
    }


def rounds(count: int) -> tuple[Parameters, list[list[Reply]]]:
    generator = torch.Generator().manual_seed(0)
    start = drawn(generator)
    return start, [[Reply(i, 10 * (i + 1), drawn(generator), 0.5) for i in range(3)] for _ in range(count)]


def run(aggregation, start: Parameters, replies: list[list[Reply]]) -> Parameters:
    current, state = start, {}
    for index, some in enumerate(replies):
        current, state = aggregation(current, iter(some), state, round_index=index, trainable=NAMES)
    return current


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("fedavg", "FedAvg"),
        ("fedprox", "FedProx"),
        ("fedadam", "FedAdam"),
        ("fedyogi", "FedYogi"),
        ("fedadagrad", "FedAdagrad"),
    ],
)
def test_each_aggregation_is_flowers_strategy_of_that_name(ours: str, theirs: str) -> None:
    start, replies = rounds(4)
    arguments = {"proximal_mu": 0.01} if theirs == "FedProx" else {}
    expected = run(FlowerStrategy(strategy=theirs, strategy_arguments=arguments), start, replies)
    for name, value in run(AGGREGATIONS.get(ours)(), start, replies).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("strategy", "arguments"),
    [
        ("FedAvgM", {"server_momentum": 0.9}),
        ("FedAdam", {}),
        ("FedMedian", {}),
        ("FedTrimmedAvg", {"beta": 0.2}),
    ],
)
def test_a_strategys_state_is_carried_outside_of_it(strategy: str, arguments: dict) -> None:
    """Carried through tensors alone, as after a stop, the state gives what one living strategy gives."""
    from flwr.app import ConfigRecord

    from palimpsest.federation.flower_records import pack_parameters, unpack_parameters
    from palimpsest.federation.flower_strategy import _identity, _message, _Nodes

    start, replies = rounds(3)
    adapted = FlowerStrategy(strategy=strategy, strategy_arguments=arguments)
    living, current = adapted._build(), start
    for index, some in enumerate(replies):
        with _identity():
            living.configure_train(index + 1, pack_parameters(current), ConfigRecord(), _Nodes([1, 2, 3]))
            arrays, _ = living.aggregate_train(index + 1, [_message(reply) for reply in some])
        current = {name: value.to(start[name].dtype) for name, value in unpack_parameters(arrays).items()}
    for name, value in run(adapted, start, replies).items():
        assert torch.equal(value, current[name])


def test_a_federation_trains_with_a_flower_strategy_as_with_ours(data, lenet, config) -> None:
    ours = train(Federation(data, lenet, config(rounds=2), 1))
    theirs = train(Federation(data, lenet, config(rounds=2, aggregation="flower", strategy="FedAvg"), 1))
    for name, value in ours.parameters.items():
        torch.testing.assert_close(theirs.parameters[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [{"strategy": "FedAvgg"}, {"strategy": "nowhere:Strategy"}, {"strategy_arguments": {"speed": 3}}],
)
def test_a_strategy_that_can_not_be_made_is_one_sentence(settings: dict) -> None:
    start, replies = rounds(1)
    with pytest.raises(ConfigurationError, match="can't be made"):
        run(FlowerStrategy(**settings), start, replies)


class Forgetful:
    """A strategy whose state can't be carried."""

    def __init__(self, **_: object) -> None:
        self.secret = None

    def configure_train(self, *_: object) -> list:
        return []

    def aggregate_train(self, _: int, replies: list) -> tuple:
        self.secret = object()
        return replies[0].content["arrays"], None


def test_a_state_that_can_not_be_carried_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FlowerStrategy, "_build", lambda self: Forgetful())
    start, replies = rounds(1)
    with pytest.raises(FederationError, match="'secret', a object"):
        run(FlowerStrategy(), start, replies)
