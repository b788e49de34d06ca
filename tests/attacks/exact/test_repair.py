"""Repair of single wrong switches."""

import pytest
import torch
from tests.support.exact_cases import average_pooled, exact_case, max_pooled
from torch.testing import assert_close

import palimpsest.attacks.exact.repair as module
from palimpsest.attacks.exact.repair import repair_switches


@pytest.mark.parametrize("build", [max_pooled, average_pooled])
def test_a_wrong_switch_is_corrected(build, monkeypatch: pytest.MonkeyPatch) -> None:
    # Random pre-activations are rarely close to their bounds, so all switches count as doubtful here.
    monkeypatch.setattr(module, "_DOUBTFUL", 1e3)
    known, inputs, switches = exact_case(build, count=1).known(0)
    right = switches * known.active.unsqueeze(-1)
    wrong = right.clone()
    image, model, channel, row, column = known.active.nonzero()[0].tolist()
    if build is max_pooled:
        wrong[image, model, channel, row, column] = right[image, model, channel, row, column].roll(1)
    else:
        wrong[image, model, channel, row, column, 0] = 1 - wrong[image, model, channel, row, column, 0]
    assert_close(repair_switches(known, wrong, inputs), right)
    assert_close(repair_switches(known, right, inputs), right)


def test_a_missing_unit_is_switched_on_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DOUBTFUL", 1e3)
    known, inputs, switches = exact_case(max_pooled, count=1).known(0)
    right = switches * known.active.unsqueeze(-1)
    wrong = right.clone()
    wrong[tuple(known.active.nonzero()[0].tolist())] = 0
    assert_close(repair_switches(known, wrong, inputs), right)


def test_switches_far_from_their_bounds_are_kept() -> None:
    known, inputs, switches = exact_case(max_pooled, count=1).known(0)
    right = switches * known.active.unsqueeze(-1)
    wrong = right.clone()
    place = tuple(known.active.nonzero()[0].tolist())
    wrong[place] = right[place].roll(1)
    before = known.block.before_activation(inputs)
    gap = (before[place] - known.target[place]).abs() / before.square().mean().sqrt()
    doubtful = gap[right[place].bool()] <= module._DOUBTFUL
    assert doubtful.all()
    inputs = torch.zeros_like(inputs)
    assert_close(repair_switches(known, wrong, inputs), wrong)
