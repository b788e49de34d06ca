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

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest-audit[flower]'")


def test_two_starts_write_models_and_proofs(
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
    summary = json.loads((folder / "deliveries.json").read_text())
    assert summary["owners"] == [str(node) for node in NODES for _ in range(example.FORGOTTEN)]
    assert summary["names"] == {str(NODES[0]): "0", str(NODES[1]): "1"}
    assert summary["faults"] == {}
    # Each client has a copy of its proofs and instruction.
    assert load_proofs(tmp_path / "own" / "proofs-1-0.safetensors").vectors.shape == expected[0].shape
    assert json.loads((tmp_path / "own" / "instruction-1-1.json").read_text())["samples"] == example.FORGOTTEN


def test_the_audit_does_not_change_training(example: Any, parts: tuple[Any, Any, Path]) -> None:
    from flwr.serverapp.strategy import FedAvg

    from palimpsest.flower import ProofMod

    strategy, initial, _ = parts
    audited = client(example, ProofMod(example.Net, example.forgotten))
    for unlearn in (False, True):
        with_audit = start(strategy, Local(audited), initial, unlearn=unlearn)
        without_audit = start(FedAvg(fraction_evaluate=0.0), Local(client(example)), initial, unlearn=unlearn)
        for name, value in without_audit.arrays.to_torch_state_dict().items():
            torch.testing.assert_close(with_audit.arrays.to_torch_state_dict()[name], value, rtol=0, atol=0)
    assert strategy.fraction_train == 1.0


def test_a_single_start_uses_the_model_sent_with_the_instruction(
    example: Any, parts: tuple[Any, Any, Path]
) -> None:
    from palimpsest.flower import ProofMod

    strategy, initial, folder = parts
    start(strategy, Local(client(example, ProofMod(example.Net, example.forgotten))), initial, unlearn=True)
    original = read_tensors(folder / "original.safetensors")[0]
    for name, value in initial.to_torch_state_dict().items():
        torch.testing.assert_close(original[name], value, rtol=0, atol=0)


def test_a_second_request_starts_from_the_first_unlearned_model(
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


def test_reports_clients_with_nothing_to_forget(example: Any, parts: tuple[Any, Any, Path]) -> None:
    from palimpsest.flower import ProofMod

    def samples_of_one_client(context: Any) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = example.forgotten(context)
        return (images, labels) if context.node_id == NODES[0] else (images[:0], labels[:0])

    strategy, initial, folder = parts
    start(
        strategy, Local(client(example, ProofMod(example.Net, samples_of_one_client))), initial, unlearn=True
    )
    summary = json.loads((folder / "deliveries.json").read_text())
    assert summary["nothing_to_forget"] == [str(NODES[1])]
    assert len(summary["owners"]) == example.FORGOTTEN


def test_reports_clients_without_the_mod_or_an_answer(example: Any, parts: tuple[Any, Any, Path]) -> None:
    strategy, initial, folder = parts
    grid = Local(
        client(example),
        lose=lambda message: (
            "palimpsest.request" in message.content and message.metadata.dst_node_id == NODES[1]
        ),
    )
    start(strategy, grid, initial, unlearn=True)
    summary = json.loads((folder / "deliveries.json").read_text())
    assert "Flower reports an error" in summary["faults"][str(NODES[0])]
    assert summary["faults"][str(NODES[1])] == "Sent no answer in time."
    assert not (folder / "proofs.safetensors").exists()


def test_rejects_unlearning_that_produces_no_model(example: Any, tmp_path: Path) -> None:
    from palimpsest.flower import Audited

    class Bare:
        def start(self, grid: Any) -> Any:
            from flwr.app import ConfigRecord, Message, MessageType, RecordDict
            from flwr.serverapp.strategy import Result

            content = RecordDict({"config": ConfigRecord({"unlearn": True})})
            grid.send_and_receive([Message(content=content, message_type=MessageType.TRAIN, dst_node_id=7)])
            return Result()

    with pytest.raises(FederationError, match="produced no model"):
        Audited(Bare(), tmp_path).start(Local(client(example)))
