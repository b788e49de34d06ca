import numpy as np
import torch

from palimpsest.models.state_dicts import as_tensor, find_state_dicts


def test_state_dicts_are_found_at_any_depth_without_other_values() -> None:
    weight = torch.ones(2, 2)
    stored = {
        "epoch": 3,
        "step": torch.tensor(7),
        "a": {"fc.weight": weight, "note": "x", "lr": np.float64(0.1)},
        "deep": [1, 2],
        "optimizer_states": [{"state": {0: {"exp_avg": weight}}}],
        "arrays": [np.zeros(2), weight],
    }
    found = {one.place: one for one in find_state_dicts(stored)}
    assert set(found) == {"a", "arrays"}
    assert set(found["a"].tensors) == {"fc.weight", "lr"}
    assert found["arrays"].ordered
    assert not found["a"].ordered


def test_nothing_is_found_in_other_values() -> None:
    for stored in (None, 3, "text", [], [1, weight_free()], {}, {"a": {"b": 1}}):
        assert find_state_dicts(stored) == []


def weight_free() -> object:
    return {"lr": 0.1}


def test_arrays_become_tensors() -> None:
    assert as_tensor(np.arange(3, dtype=">f4")).tolist() == [0, 1, 2]
    assert as_tensor(np.float32(2)).item() == 2
    assert as_tensor(np.array(["a"])) is None
    assert as_tensor([1, 2]) is None
