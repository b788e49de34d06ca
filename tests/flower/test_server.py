import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.flower_app import NODES, Local, client, start

from palimpsest.errors import FederationError
from palimpsest.gradients import gradient_differences
from palimpsest.models import load_parameters
from palimpsest.proofs import load_proofs
from palimpsest.storage import parameters_hash, read_tensors

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest[flower]'")


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
