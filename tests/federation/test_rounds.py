import dataclasses
import math
import weakref

import pytest
import torch

from palimpsest.errors import DivergenceError, FederationError, RunError
from palimpsest.federation import (
    FedAdam,
    FedAvg,
    Federation,
    InProcess,
    LocalTraining,
    Plan,
    Reply,
    Schedule,
    Training,
    run_rounds,
    snapshot,
    train,
)


class Flaky:
    """Backend that replaces replies by `spoil(round, attempt, reply)`; a result of None drops the reply."""

    def __init__(self, backend, spoil):
        self.backend, self.spoil, self.calls = backend, spoil, []

    def send(self, clients, payload):
        attempt = self.calls.count(payload.round)
        self.calls.append(payload.round)
        for reply in self.backend.send(clients, payload):
            spoiled = self.spoil(payload.round, attempt, reply)
            if spoiled is not None:
                yield spoiled


@pytest.fixture
def play(data, lenet, config):
    """Run rounds with a backend whose replies a test can replace."""

    def run(spoil=lambda _round, _attempt, reply: reply, *, scratch=None, rows=None, **settings):
        federation = Federation(data, lenet, config(**settings), 3)
        network = federation.network()
        plan = Plan(
            title="test",
            clients=5,
            schedule=federation.schedule(),
            work=federation.local_training(),
            aggregation=federation.aggregation,
            trainable=tuple(name for name, _ in network.named_parameters()),
            seed=3,
            minimum_replies=federation.config.minimum_replies,
            attempts=federation.config.attempts,
        )
        backend = Flaky(InProcess(network, data.train, rows or data.clients, device="cpu"), spoil)
        return run_rounds(plan, backend, snapshot(network), scratch=scratch), backend

    return run


def same(one, other):
    return one.rounds == other.rounds and all(
        torch.equal(value, other.parameters[name]) for name, value in one.parameters.items()
    )


def spoiled(reply, reason):
    nan = {name: torch.full_like(value, math.nan) for name, value in reply.parameters.items()}
    wrong = {name: value.flatten()[:1] for name, value in reply.parameters.items()}
    return {
        "no reply": None,
        "not finite": dataclasses.replace(reply, parameters=nan),
        "wrong shape": dataclasses.replace(reply, parameters=wrong),
        "empty reply": dataclasses.replace(reply, parameters={}),
    }[reason]


@pytest.mark.parametrize("reason", ["no reply", "not finite", "wrong shape", "empty reply"])
def test_excludes_and_reports_a_broken_reply(play, data, lenet, config, reason):
    victim = Federation(data, lenet, config(), 3).schedule().rounds[1][0]

    def only(spoil):
        return lambda index, _, reply: spoil(reply) if (index, reply.client) == (1, victim) else reply

    result, _ = play(only(lambda reply: spoiled(reply, reason)))
    assert [one.excluded for one in result.rounds] == [{}, {victim: reason}, {}]
    assert victim not in result.rounds[1].used
    assert result.participation[victim] == sum(victim in one.drawn for one in result.rounds) - 1
    # The other replies are aggregated as if this client held no data.
    empty, _ = play(only(lambda reply: dataclasses.replace(reply, samples=0)))
    assert all(torch.equal(value, empty.parameters[name]) for name, value in result.parameters.items())


def test_repeats_a_round_with_too_few_replies(play):
    result, backend = play(lambda _, attempt, reply: reply if attempt else None, minimum_replies=3)
    assert [one.attempts for one in result.rounds] == [2, 2, 2]
    assert backend.calls == [0, 0, 1, 1, 2, 2]
    undisturbed, _ = play(minimum_replies=3)
    assert all(torch.equal(value, undisturbed.parameters[name]) for name, value in result.parameters.items())


def test_fails_after_the_last_attempt_and_names_the_clients(play):
    with pytest.raises(FederationError, match=r"Round 1 was tried 3 times .* client \d: no reply"):
        play(lambda index, _, reply: None if index == 1 else reply, attempts=3)


def test_excludes_a_client_that_diverges(play):
    with pytest.raises(DivergenceError, match=r"round 0.* lower federation\.learning_rate"):
        play(learning_rate=1e30)
    result, _ = play(
        lambda _, __, reply: dataclasses.replace(reply, loss=math.nan) if reply.client == 1 else reply
    )
    assert result.participation[1] == 0


def test_detects_a_global_model_that_is_not_finite_in_the_same_round(data):
    class Overflowing(FedAvg):
        def __call__(self, current, replies, state, *, round_index, trainable):
            list(replies)
            return {name: value / round_index for name, value in current.items()}, {}

    class Still:
        def send(self, clients, payload):
            return [Reply(client, 1, payload.parameters, 0.0) for client in clients]

    work = LocalTraining(epochs=1, batch_size=1, learning_rate=0.1)
    plan = Plan("test", 1, Schedule(((0,), (0,))), work, Overflowing(), ("w",), 0)
    with pytest.raises(DivergenceError, match="'w' is not finite after round 0"):
        run_rounds(plan, Still(), {"w": torch.ones(2)})


def test_passes_the_servers_moments_between_rounds():
    class Drifting:
        def send(self, clients, payload):
            moved = {"w": payload.parameters["w"] + 0.1 * (payload.round + 1)}
            return [Reply(client, 1, moved, 0.0) for client in clients]

    work = LocalTraining(epochs=1, batch_size=1, learning_rate=0.1)
    plan = Plan("test", 1, Schedule(((0,),) * 4), work, FedAdam(), ("w",), 0)
    result = run_rounds(plan, Drifting(), {"w": torch.zeros(2)})
    current, state = {"w": torch.zeros(2)}, {}
    for index in range(4):
        replies = [Reply(0, 1, {"w": current["w"] + 0.1 * (index + 1)}, 0.0)]
        current, state = FedAdam()(current, replies, state, round_index=index, trainable=["w"])
    assert torch.equal(result.parameters["w"], current["w"])


@pytest.mark.parametrize("aggregation", ["fedavg", "fedadam", "fedyogi", "fedadagrad"])
@pytest.mark.parametrize("killed_in", [0, 1, 2])
def test_a_killed_server_resumes_with_the_same_bits(play, tmp_path, aggregation, killed_in):
    class Killed(BaseException):
        pass

    def kill(index, _, reply):
        if index == killed_in:
            raise Killed
        return reply

    whole, _ = play(aggregation=aggregation)
    with pytest.raises(Killed):
        play(kill, aggregation=aggregation, scratch=tmp_path)
    resumed, backend = play(aggregation=aggregation, scratch=tmp_path)
    assert backend.calls == list(range(killed_in, 3))
    assert same(resumed, whole)
    assert resumed.participation == whole.participation


def test_rejects_the_rounds_of_another_training(play, tmp_path):
    play(scratch=tmp_path)
    with pytest.raises(RunError, match="another training"):
        play(scratch=tmp_path, learning_rate=0.2)


def test_a_round_without_client_data_changes_nothing(play, data):
    nothing = [rows[:0] for rows in data.clients]
    result, _ = play(rows=nothing, minimum_replies=2)
    assert [one.used for one in result.rounds] == [(), (), ()]
    assert set(result.rounds[0].excluded.values()) == {"no data"}
    assert result.rounds[0].loss is None
    assert result.participation == [0] * 5


def test_keeps_few_replies_in_memory(data):
    alive, most = weakref.WeakSet(), []

    class Token(torch.Tensor):
        pass

    class Counting:
        def send(self, clients, payload):
            for client in clients:
                value = torch.zeros(3).as_subclass(Token)
                alive.add(value)
                most.append(len(alive))
                yield Reply(client, 1, {"w": value}, 0.0)
                del value

    work = LocalTraining(epochs=1, batch_size=1, learning_rate=0.1)
    plan = Plan("test", 50, Schedule((tuple(range(50)),)), work, FedAvg(), ("w",), 0)
    run_rounds(plan, Counting(), {"w": torch.zeros(3)})
    assert max(most) <= 3


def test_a_training_can_be_saved_and_loaded(data, lenet, config, tmp_path):
    result = train(Federation(data, lenet, config(), 1), ensure=(0, 1, 2, 3, 4))
    result.save(tmp_path / "training.safetensors")
    back = Training.load(tmp_path / "training.safetensors")
    assert same(result, back)
    assert (back.participation, back.swaps) == (result.participation, result.swaps)
