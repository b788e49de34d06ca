import json
from pathlib import Path
from typing import Any

import pytest

from palimpsest.artifacts.model_card import card_numbering
from palimpsest.errors import CheckpointError, ModelError


def write(folder: Path, card: Any) -> Path:
    (folder / "config.json").write_text(card if isinstance(card, str) else json.dumps(card))
    return folder / "model.safetensors"


def test_reads_the_names_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    checkpoint = write(tmp_path, {"id2label": {"1": "dog", "0": "emu", "2": "cat"}})
    numbering = card_numbering(checkpoint)
    assert numbering is not None
    assert (numbering.names, numbering.origin) == (("emu", "dog", "cat"), "id2label of config.json")
    assert card_numbering(tmp_path) == numbering


@pytest.mark.parametrize(
    "card", [{}, [], {"width": 3}, {"id2label": {}}, {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}]
)
def test_has_no_numbering_without_real_names(tmp_path: Path, card: Any) -> None:
    assert card_numbering(tmp_path / "model.pt") is None
    assert card_numbering(write(tmp_path, card)) is None


@pytest.mark.parametrize("names", [{"0": "a", "2": "b"}, {"0": "a", "1": "a"}, {"0": "a", "1": 1}, {"a": 0}])
def test_rejects_names_that_are_not_numbered_from_0(tmp_path: Path, names: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"id2label of .* does not give each number from 0"):
        card_numbering(write(tmp_path, {"id2label": names}))


@pytest.mark.parametrize("text", ["{", "\x00", "[" * 100_000])
def test_rejects_a_damaged_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(CheckpointError, match=r"config.json can't be read"):
        card_numbering(write(tmp_path, text))


@pytest.mark.parametrize("task", ["regression", "multi_label_classification"])
def test_rejects_models_of_another_task(tmp_path: Path, task: str) -> None:
    with pytest.raises(ModelError, match=f"'{task}', but proofs are gradients of the cross-entropy"):
        card_numbering(write(tmp_path, {"problem_type": task}))
