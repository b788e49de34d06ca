import pytest
import torch

from palimpsest.errors import FederationError, MissingDependencyError
from palimpsest.federation import LocalTraining, Payload, Reply
from palimpsest.federation.flower_records import (
    pack_payload,
    pack_reply,
    require_flower,
    unpack_payload,
    unpack_reply,
)

PARAMETERS = {"weight": torch.arange(6.0).view(2, 3).T, "steps": torch.tensor(7)}


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one
    )


def test_names_the_package_to_install_if_flower_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "flwr", None)
    with pytest.raises(
        MissingDependencyError, match=r"Flower is not installed.*pip install 'palimpsest-audit\[flower\]'"
    ):
        require_flower()


def test_payloads_survive_a_round_trip() -> None:
    pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest-audit[flower]'")
    payload = Payload(3, 2**62 + 1, LocalTraining(epochs=2, batch_size=8, learning_rate=0.1), PARAMETERS)
    arrived = unpack_payload(pack_payload(payload))
    assert (arrived.round, arrived.seed, arrived.work) == (3, 2**62 + 1, payload.work)
    assert same(arrived.parameters, PARAMETERS)


@pytest.mark.parametrize("parameters", [PARAMETERS, {}])
def test_replies_survive_a_round_trip(parameters: dict) -> None:
    pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest-audit[flower]'")
    arrived = unpack_reply(pack_reply(Reply(4, 10, parameters, 0.25)))
    assert (arrived.client, arrived.samples, arrived.loss) == (4, 10, 0.25)
    assert same(arrived.parameters, parameters)


@pytest.mark.parametrize(
    "name", ["os:system", "palimpsest.storage.record:Record", "palimpsest.federation.client:Nothing"]
)
def test_rejects_a_name_that_is_not_a_work_class(name: str) -> None:
    pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest-audit[flower]'")
    content = pack_payload(
        Payload(0, 0, LocalTraining(epochs=1, batch_size=8, learning_rate=0.1), PARAMETERS)
    )
    content["config"]["work"] = name
    with pytest.raises(FederationError, match="does not have"):
        unpack_payload(content)
