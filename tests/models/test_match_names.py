from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from palimpsest.errors import CheckpointError
from palimpsest.models.match_names import match_names
from palimpsest.models.state_dicts import find_state_dicts

Tensors = dict[str, Tensor]


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5)
        self.head.weight = self.embed.weight
        self.register_buffer("positions", torch.arange(4))


class RandomFeatures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.register_buffer("projection", torch.randn(2, 2))


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


def matched(stored: object, of: nn.Module, twin: nn.Module | None = None):
    return match_names(find_state_dicts(stored), of, twin=twin)


def assert_equal(found: Tensors, expected: Tensors) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize(
    ("wrap", "note"),
    [
        (lambda s: s, None),
        (lambda s: {"epoch": 3, "note": "x", "state_dict": s}, None),
        (lambda s: {"a": {"b": {"c": s}}}, None),
        (lambda s: {f"module.{n}": v for n, v in s.items()}, "removed the prefix 'module.' from 9 names"),
        (lambda s: {f"_orig_mod.module.{n}": v for n, v in s.items()}, "'_orig_mod.module.'"),
        (lambda s: {f"module._orig_mod.{n}": v for n, v in s.items()}, "'module._orig_mod.'"),
        (lambda s: {f"_module.{n}": v for n, v in s.items()}, "'_module.'"),
        (lambda s: {f"net.encoder.{n}": v for n, v in s.items()}, "'net.encoder.'"),
        (lambda s: {f"parameters/{n}": v for n, v in s.items()} | {"indices": torch.ones(3)}, None),
        (
            lambda s: {f"model.{n}": v for n, v in s.items()} | {"criterion.weight": torch.ones(3)},
            "left out criterion.weight",
        ),
        (lambda s: {f"module.{n}": v for n, v in s.items()} | {"n_averaged": torch.tensor(3)}, "n_averaged"),
        (lambda s: list(s.values()), "9 arrays without names"),
        (lambda s: [v.numpy() for v in s.values()], "9 arrays without names"),
        (lambda s: {"weights": [v for n, v in s.items() if "batches" not in n]}, "8 arrays"),
        (lambda s: {n: v for n, v in s.items() if "batches" not in n}, None),
        (lambda s: s | {"1.num_batches_tracked": torch.tensor([0.0])}, None),
        (lambda s: {n: v.half() if v.is_floating_point() else v for n, v in s.items()}, None),
        (
            lambda s: {
                "model": s,
                "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []},
            },
            None,
        ),
        (lambda s: {"model": s, "ema": {n: v.clone() for n, v in s.items()}}, None),
    ],
)
def test_forms_in_which_tools_store_a_state_dict(wrap: Callable[[Tensors], object], note: str | None) -> None:
    stored = network()
    state = {
        name: value.half().float() if value.is_floating_point() else value
        for name, value in stored.state_dict().items()
    }
    found = matched(wrap(dict(state)), network())
    assert_equal(
        {n: v.float() for n, v in found.parameters.items()}, {n: v.float() for n, v in state.items()}
    )
    if note is not None:
        assert any(note in one for one in found.notes), found.notes


def test_a_wrapped_network_takes_the_plain_names() -> None:
    state = network().state_dict()
    wrapped = nn.Sequential()
    wrapped.add_module("module", network())
    found = matched(dict(state), wrapped)
    assert found.parameters.keys() == wrapped.state_dict().keys()


def test_several_state_dicts_are_listed() -> None:
    one, other = network().state_dict(), network().state_dict()
    with pytest.raises(CheckpointError, match=r"2 different state dicts .*'model', 'model_ema'"):
        matched({"model": one, "model_ema": other}, network())
    flat = {f"student.{n}": v for n, v in one.items()} | {f"teacher.{n}": v for n, v in other.items()}
    with pytest.raises(CheckpointError, match=r"'student', 'teacher'"):
        matched(flat, network())


def test_a_part_of_the_stored_network_is_refused() -> None:
    state = {f"encoder.{n}": v for n, v in network().state_dict().items()} | {"head.weight": torch.ones(2, 3)}
    with pytest.raises(
        CheckpointError, match=r"is a part of what it holds: 'encoder' fits, and head\.weight"
    ):
        matched(state, network())


def test_tied_weights_are_stored_once() -> None:
    stored = Tied()
    for absent in ("embed.weight", "head.weight"):
        state = {n: v for n, v in stored.state_dict().items() if n not in (absent, "positions")}
        found = matched(state, Tied())
        assert_equal(found.parameters, dict(stored.state_dict()))
        assert "filled 1 tied weight from the stored one" in found.notes
        assert any("kept positions" in note for note in found.notes)


def test_a_random_buffer_must_be_stored() -> None:
    state = {n: v for n, v in RandomFeatures().state_dict().items() if n != "projection"}
    with pytest.raises(CheckpointError, match="projection"):
        matched(state, RandomFeatures(), RandomFeatures())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: {n: v for n, v in s.items() if "running" not in n}, "running statistics"),
        (lambda s: s | {"3.weight": torch.ones(5, 8), "3.bias": torch.ones(5)}, "other settings"),
        (lambda s: {n: v for n, v in s.items() if n.startswith("3.")}, "only a part"),
        (lambda s: {"fc.weight": torch.ones(2, 2)}, "another network"),
        (lambda s: s | {"4.weight": torch.ones(2, 2)}, "has changed"),
        (lambda s: list(s.values())[:4], "missing"),
        (lambda s: [*s.values(), torch.ones(7)], r"array 9 \[7\]"),
        (lambda s: {"epoch": 3}, "no state dict"),
        (lambda s: [], "no state dict"),
    ],
)
def test_both_lists_and_the_cause_of_a_mismatch(change: Callable[[Tensors], object], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        matched(change(dict(network().state_dict())), network())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["module", "_orig_mod", "model", "net", "a_1", "0"]), max_size=4), st.data())
def test_any_prefix_of_all_names_is_found(parts: list[str], data: st.DataObject) -> None:
    state = network().state_dict()
    order = data.draw(st.permutations(sorted(state)))
    prefix = "".join(f"{part}." for part in parts)
    found = matched({f"{prefix}{name}": state[name] for name in order}, network())
    assert_equal(found.parameters, dict(state))
