"""The example's app, its client and its server, in one process: Flower's own strategy and messages, and no network."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from palimpsest.errors import ConfigurationError, FederationError
from palimpsest.gradients import gradient_differences
from palimpsest.models import load_parameters
from palimpsest.proofs import load_proofs
from palimpsest.storage import parameters_hash, read_tensors

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest[flower]'")
EXAMPLE = Path(__file__).parents[2] / "examples" / "flower-app"
NODES = (7, 2**63 + 5)  # Flower's numbers go beyond int64.


class Local:
    """Flower's grid: each message goes to the app at once, with the state that its node keeps."""

    def __init__(self, app: Any, *, lose: Callable[[Any], bool] = lambda message: False) -> None:
        from flwr.app import Context, RecordDict

        self.app, self.lose, self.seen = app, lose, []
        self.contexts = {
            node: Context(
                run_id=1,
                node_id=node,
                node_config={"partition-id": partition},
                state=RecordDict(),
                run_config={},
            )
            for partition, node in enumerate(NODES)
        }

    def get_node_ids(self) -> list[int]:
        return list(NODES)

    def send_and_receive(self, messages: Iterable[Any], *, timeout: float | None = None) -> list[Any]:
        from flwr.app import Error, Message

        replies = []
        for message in messages:
            self.seen.append(message)
            if self.lose(message):
                continue
            try:
                replies.append(self.app(message, self.contexts[message.metadata.dst_node_id]))
            except Exception as error:
                replies.append(Message(Error(code=0, reason=repr(error)), reply_to=message))
        return replies


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The example's `app.task`, and no trace of it afterwards."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    from palimpsest.federation.flower_strategy import _identity

    with _identity():
        import app.task  # pyright: ignore[reportMissingImports]

        yield app.task
    for name in [name for name in sys.modules if name == "app" or name.startswith("app.")]:
        del sys.modules[name]


def client(example: Any, *mods: Any) -> Any:
    """The example's client with these mods in place of its own."""
    import app.client as module  # pyright: ignore[reportMissingImports]
    from flwr.clientapp import ClientApp

    app = ClientApp(mods=list(mods))
    app.train()(module.train)
    return app


def start(strategy: Any, grid: Any, initial: Any, *, unlearn: bool, rounds: int = 2) -> Any:
    from flwr.app import ConfigRecord

    config: dict[str, Any] = {"local-epochs": 1, "learning-rate": 0.05}
    if unlearn:
        config["unlearn"] = True
    return strategy.start(grid, initial, num_rounds=rounds, train_config=ConfigRecord(config))


@pytest.fixture
def parts(example: Any, tmp_path: Path) -> tuple[Any, Any, Path]:
    """An audited strategy, where training begins, and the folder."""
    from flwr.app import ArrayRecord
    from flwr.serverapp.strategy import FedAvg

    from palimpsest.flower import Audited

    torch.manual_seed(0)
    strategy = Audited(FedAvg(fraction_evaluate=0.0), tmp_path / "audit")
    return strategy, ArrayRecord(example.Net().state_dict()), tmp_path / "audit"


def test_two_starts_leave_models_and_proofs(
    example: Any, parts: tuple[Any, Any, Path], tmp_path: Path
) -> None:
    from palimpsest.flower import ProofMod

    strategy, initial, folder = parts
    grid = Local(client(example, ProofMod(example.Net, example.forgotten, folder=tmp_path / "own")))
    trained = start(strategy, grid, initial, unlearn=False)
    assert not folder.exists()
    unlearned = start(strategy, grid, initial, unlearn=True)

    states = [read_tensors(folder / f"{name}.safetensors")[0] for name in ("original", "unlearned")]
    for state, result in zip(states, (trained, unlearned), strict=True):
        for name, value in result.arrays.to_torch_state_dict().items():
            torch.testing.assert_close(state[name], value, rtol=0, atol=0)
    proofs = load_proofs(folder / "proofs.safetensors")
    assert proofs.metadata["original"] == parameters_hash(states[0])
    assert proofs.metadata["defenses"] == "[]"
    before, after = (load_parameters(example.Net(), state) for state in states)
    expected = [
        gradient_differences(before, after, *example.forgotten(grid.contexts[node])) for node in sorted(NODES)
    ]
    torch.testing.assert_close(proofs.vectors, torch.cat(expected))
    told = json.loads((folder / "deliveries.json").read_text())
    assert told["owners"] == [str(node) for node in NODES for _ in range(example.FORGOTTEN)]
    assert told["names"] == {str(NODES[0]): "0", str(NODES[1]): "1"}
    assert told["faults"] == {}
    # Each client keeps its own.
    assert load_proofs(tmp_path / "own" / "proofs-1-0.safetensors").vectors.shape == expected[0].shape
    assert json.loads((tmp_path / "own" / "instruction-1-1.json").read_text())["samples"] == example.FORGOTTEN


def test_training_is_what_it_is_without_the_audit(example: Any, parts: tuple[Any, Any, Path]) -> None:
    from flwr.serverapp.strategy import FedAvg

    from palimpsest.flower import ProofMod

    strategy, initial, _ = parts
    audited = client(example, ProofMod(example.Net, example.forgotten))
    for unlearn in (False, True):
        ours = start(strategy, Local(audited), initial, unlearn=unlearn)
        theirs = start(FedAvg(fraction_evaluate=0.0), Local(client(example)), initial, unlearn=unlearn)
        for name, value in theirs.arrays.to_torch_state_dict().items():
            torch.testing.assert_close(ours.arrays.to_torch_state_dict()[name], value, rtol=0, atol=0)
    assert strategy.fraction_train == 1.0


def test_one_start_forgets_from_the_model_that_the_instruction_came_with(
    example: Any, parts: tuple[Any, Any, Path]
) -> None:
    from palimpsest.flower import ProofMod

    strategy, initial, folder = parts
    start(strategy, Local(client(example, ProofMod(example.Net, example.forgotten))), initial, unlearn=True)
    original = read_tensors(folder / "original.safetensors")[0]
    for name, value in initial.to_torch_state_dict().items():
        torch.testing.assert_close(original[name], value, rtol=0, atol=0)


def test_a_second_request_starts_from_the_first_ones_model(
    example: Any, parts: tuple[Any, Any, Path]
) -> None:
    from palimpsest.flower import ProofMod

    strategy, initial, folder = parts
    grid = Local(client(example, ProofMod(example.Net, example.forgotten)))
    first = start(strategy, grid, initial, unlearn=True)
    start(strategy, grid, first.arrays, unlearn=True)
    assert (folder / "2" / "original.safetensors").read_bytes() == (
        folder / "unlearned.safetensors"
    ).read_bytes()
    assert len(load_proofs(folder / "2" / "proofs.safetensors").vectors) == 2 * example.FORGOTTEN


def test_what_a_client_can_not_give_is_told(example: Any, parts: tuple[Any, Any, Path]) -> None:
    from palimpsest.flower import ProofMod

    def mine(context: Any) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = example.forgotten(context)
        return (images, labels) if context.node_id == NODES[0] else (images[:0], labels[:0])

    strategy, initial, folder = parts
    start(strategy, Local(client(example, ProofMod(example.Net, mine))), initial, unlearn=True)
    told = json.loads((folder / "deliveries.json").read_text())
    assert told["nothing_to_forget"] == [str(NODES[1])]
    assert len(told["owners"]) == example.FORGOTTEN


def test_without_the_mod_or_an_answer_there_are_no_proofs(example: Any, parts: tuple[Any, Any, Path]) -> None:
    strategy, initial, folder = parts
    grid = Local(
        client(example),
        lose=lambda message: (
            "palimpsest.request" in message.content and message.metadata.dst_node_id == NODES[1]
        ),
    )
    start(strategy, grid, initial, unlearn=True)
    told = json.loads((folder / "deliveries.json").read_text())
    assert "Flower reports an error" in told["faults"][str(NODES[0])]
    assert told["faults"][str(NODES[1])] == "Handed in nothing in time."
    assert not (folder / "proofs.safetensors").exists()


def request(example: Any, node: int = NODES[0]) -> Any:
    from palimpsest.flower.server import _requests

    return _requests([node], example.Net().state_dict(), example.Net().state_dict())[0]


def instruction(example: Any, node: int = NODES[0]) -> Any:
    from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, RecordDict

    content = {
        "arrays": ArrayRecord(example.Net().state_dict()),
        "config": ConfigRecord({"unlearn": True, "local-epochs": 1, "learning-rate": 0.1}),
    }
    return Message(content=RecordDict(content), message_type=MessageType.TRAIN, dst_node_id=node)


def test_a_client_proves_once_what_it_was_told_to_forget(example: Any) -> None:
    from palimpsest.flower import ProofMod

    count = example.FORGOTTEN

    def samples(context: Any) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = example.forgotten(context)
        return images[:count], labels[:count]

    mod = ProofMod(example.Net, samples)
    grid = Local(client(example, mod))

    def ask() -> str:
        (reply,) = grid.send_and_receive([request(example)])
        refusal = reply.content.config_records.get("palimpsest.refusal", {})
        return str(refusal.get("reason", ""))

    assert "not told to forget" in ask()
    grid.send_and_receive([instruction(example)])
    assert ask() == ""
    assert "not told to forget" in ask()
    grid.send_and_receive([instruction(example)])
    count -= 1
    assert "not those of the instruction" in ask()


def test_a_proof_is_defended_before_it_leaves(example: Any) -> None:
    from palimpsest.flower import ProofMod

    mods = [
        ProofMod(example.Net, example.forgotten, defenses=[{"name": name}]) for name in ("sign", "orthogonal")
    ]
    vectors = []
    for mod in mods:
        grid = Local(client(example, mod))
        grid.send_and_receive([instruction(example)])
        (reply,) = grid.send_and_receive([request(example)])
        vectors.append(torch.from_numpy(reply.content["palimpsest.proofs"]["vectors"].numpy().copy()))
    assert set(vectors[0].unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert "orthogonal" in reply.content["palimpsest.metadata"]["defenses"]
    with pytest.raises(ConfigurationError, match="did you mean 'sign'"):
        ProofMod(example.Net, example.forgotten, defenses=[{"name": "sing"}])


def test_an_instruction_without_a_model_is_refused(example: Any, tmp_path: Path) -> None:
    from palimpsest.flower import Audited

    class Bare:
        def start(self, grid: Any) -> Any:
            from flwr.app import ConfigRecord, Message, MessageType, RecordDict
            from flwr.serverapp.strategy import Result

            content = RecordDict({"config": ConfigRecord({"unlearn": True})})
            grid.send_and_receive([Message(content=content, message_type=MessageType.TRAIN, dst_node_id=7)])
            return Result()

    with pytest.raises(FederationError, match="No model came"):
        Audited(Bare(), tmp_path).start(Local(client(example)))
