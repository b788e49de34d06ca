from typing import Any

import pytest
import torch
from tests.support.flower_app import NODES

from palimpsest.flower import INSTRUCTION
from palimpsest.flower.messages import METADATA, ORIGINAL, PROOFS, REFUSAL, REQUEST, UNLEARNED, instructs

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest[flower]'")
pytestmark = pytest.mark.usefixtures("identity")


def message(**configurations: dict[str, Any]) -> Any:
    """A training message with these configurations and a model."""
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
def test_any_configuration_with_a_true_key_is_an_instruction(
    configurations: dict[str, dict[str, Any]], expected: bool
) -> None:
    assert instructs(message(**configurations), INSTRUCTION) is expected


def test_an_app_may_have_its_own_key() -> None:
    told = message(config={"forget-me": True})
    assert instructs(told, "forget-me")
    assert not instructs(told, INSTRUCTION)


def test_the_audits_records_do_not_collide_with_each_other_or_with_an_app() -> None:
    names = (REQUEST, ORIGINAL, UNLEARNED, PROOFS, METADATA, REFUSAL)
    assert len(set(names)) == len(names)
    assert all(name.startswith("palimpsest.") for name in names)
