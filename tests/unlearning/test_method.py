from pathlib import Path

import pytest
import torch

from palimpsest.registry import METHODS
from palimpsest.unlearning import Method, Place, Unlearned


def test_each_part_of_a_method_has_a_separate_folder(tmp_path: Path) -> None:
    place = Place(scratch=tmp_path)
    assert place.room("ascent") == tmp_path / "ascent"
    assert place.room("ascent") != place.room("tuning")


def test_returns_no_folder_without_scratch() -> None:
    assert Place().room("ascent") is None
    assert Place(history=Path("history")).room("ascent") is None


def test_registered_methods_extend_the_base_class() -> None:
    methods = dict(METHODS)
    assert len(methods) >= 4
    assert all(issubclass(method, Method) for method in methods.values())
    with_history = {name for name, method in methods.items() if method.needs_history}
    assert with_history == {"federaser", "fedrecovery", "forged-retraining"}


def test_a_method_must_implement_call() -> None:
    class Incomplete(Method):
        pass

    with pytest.raises(TypeError, match="__call__"):
        Incomplete()  # type: ignore[abstract]


def test_results_do_not_share_facts() -> None:
    first, second = (Unlearned({"weight": torch.zeros(1)}, []) for _ in range(2))
    first.facts["steps"] = 3.0
    assert second.facts == {}
