from typing import Any

import pytest
import torch
from tests.support.flower_app import NODES

from palimpsest.flower import INSTRUCTION
from palimpsest.flower.messages import METADATA, ORIGINAL, PROOFS, REFUSAL, REQUEST, UNLEARNED, instructs

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest-audit[flower]'")
pytestmark = pytest.mark.usefixtures("identity")


def message(**configurations: dict[str, Any]) -> Any:
    """Create a training message with a model and the given configurations."""
    from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, RecordDict

    records: dict[str, Any] = {name: ConfigRecord(values) for name, values in configurations.items()}
    content = RecordDict({"arrays": ArrayRecord({"weight": torch.ones(2)}), **records})
    return Message(content=content, message_type=MessageType.TRAIN, dst_node_id=NODES[0])


@pytest.mark.parametrize(
    ("configurations", "expected"),
    [
        ({}, False),
        ({"config": {}}, False),
        ({"config": {"learning-rate": 0.1}}, False),
        ({"config": {INSTRUCTION: False}}, False),
        ({"config": {INSTRUCTION: True}}, True),
        ({"config": {INSTRUCTION: 1}}, True),
        ({"config": {"epochs": 1}, "other": {INSTRUCTION: True}}, True),
    ],
)
def test_detects_a_true_key_in_any_configuration(
    configurations: dict[str, dict[str, Any]], expected: bool
) -> None:
    assert instructs(message(**configurations), INSTRUCTION) is expected


def test_an_app_can_use_another_key() -> None:
    instruction = message(config={"forget-me": True})
    assert instructs(instruction, "forget-me")
    assert not instructs(instruction, INSTRUCTION)


def test_record_names_are_distinct_and_have_a_prefix() -> None:
    names = (REQUEST, ORIGINAL, UNLEARNED, PROOFS, METADATA, REFUSAL)
    assert len(set(names)) == len(names)
    assert all(name.startswith("palimpsest.") for name in names)
