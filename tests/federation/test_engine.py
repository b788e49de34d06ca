import pytest
import torch

from palimpsest.errors import FederationError
from palimpsest.federation import Federation, InProcess, LocalTraining, Payload, connect, snapshot


@pytest.fixture
def payload(data, lenet, config):
    network = Federation(data, lenet, config(), 1).network()
    return Payload(0, 1, LocalTraining(epochs=1, batch_size=8, learning_rate=0.1), snapshot(network))


def test_a_reply_does_not_depend_on_earlier_clients(data, lenet, config, payload):
    network = Federation(data, lenet, config(), 1).network()
    backend = InProcess(network, data.train, data.clients, device="cpu")
    replies = list(backend.send([1, 3, 4], payload))
    assert [reply.client for reply in replies] == [1, 3, 4]
    assert [reply.samples for reply in replies] == [15, 18, 20]
    (single,) = backend.send([3], payload)
    for name, value in replies[1].parameters.items():
        assert torch.equal(value, single.parameters[name])


def test_a_client_trains_only_when_its_reply_is_requested(data, lenet, config, payload):
    network = Federation(data, lenet, config(), 1).network()
    replies = InProcess(network, data.train, data.clients, device="cpu").send([0, 99], payload)
    assert next(replies).client == 0
    with pytest.raises(IndexError):
        next(replies)


def test_rejects_an_unknown_engine(data, lenet, config):
    network = Federation(data, lenet, config(), 1).network()
    connection = connect("carrier-pigeon", network, data.train, data.clients, device="cpu")
    with pytest.raises(FederationError, match="no engine 'carrier-pigeon'"), connection:
        pass
