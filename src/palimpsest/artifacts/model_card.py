"""Class names and the task from `config.json`, which Hugging Face's `save_pretrained` writes beside a checkpoint."""

import json
import re
from pathlib import Path
from typing import Any

from palimpsest.datasets.numbering import Numbering
from palimpsest.errors import CheckpointError, ModelError

_FILE = "config.json"
_LARGEST, _LONGEST = 2**24, 100
_GENERIC = re.compile(r"LABEL_\d+")


def card_numbering(checkpoint: Path) -> Numbering | None:
    """Return the numbering of classes that a checkpoint's `config.json` names under `id2label`.

    Args:
        checkpoint: A folder of `save_pretrained`, or a file beside a `config.json`.

    Returns:
        The numbering, or None if there is no such file, it has no names, or they are placeholders such as LABEL_0.

    Raises:
        CheckpointError: The file can't be read, or its names are not numbered from 0 without gaps.
        ModelError: The model was trained for several labels of one sample, or for a regression.
    """
    path = (checkpoint if checkpoint.is_dir() else checkpoint.parent) / _FILE
    if not path.is_file():
        return None
    card = _read(path)
    task = card.get("problem_type")
    if task in ("multi_label_classification", "regression"):
        raise ModelError(
            f"{path} has the problem_type {task!r}, but proofs are gradients of the cross-entropy of one label. Give a "
            "model that assigns each sample to one class."
        )
    names = card.get("id2label")
    if not isinstance(names, dict) or not names:
        return None
    found = (names.get(str(number)) for number in range(len(names)))
    ordered = [name for name in found if isinstance(name, str)]
    if len(set(ordered)) < len(names):
        raise CheckpointError(
            f"id2label of {path} does not give each number from 0 to {len(names) - 1} a name of its own. Correct it, "
            "or set --class-names to the names of all classes in the model's order."
        )
    if all(_GENERIC.fullmatch(name) for name in ordered):
        return None
    return Numbering(tuple(name[:_LONGEST] for name in ordered), f"id2label of {path.name}")


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("it is too large")
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} can't be read ({str(error)[:200]}). Correct the file, or move the checkpoint away from it."
        ) from error
    return card if isinstance(card, dict) else {}
