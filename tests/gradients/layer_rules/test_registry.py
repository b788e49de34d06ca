from collections.abc import Mapping
from pkgutil import iter_modules

import pytest
import torch
from tests.support.layer_gradients import CLASSES, assert_batched_equal, assert_equal, both, noise, shaken
from torch import Tensor, nn

from palimpsest.gradients import layer_rules, register_batched_rule, register_per_sample_rule
from palimpsest.gradients.layer_rules import (
    find_batched_rule,
    find_factored_rule,
    find_per_sample_rule,
    register_factored_rule,
    registry,
)
from palimpsest.gradients.layerwise import Layerwise


class Scale(nn.Module):
    """Layer without a built-in rule: one factor for each feature, optionally squared."""

    def __init__(self, size: int, *, squared: bool = False) -> None:
        super().__init__()
        self.factors, self.squared = nn.Parameter(torch.ones(size)), squared

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * (self.factors.square() if self.squared else self.factors)


@pytest.fixture(autouse=True)
def _restore_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the registered rules after each test."""
    for table in ("_PER_SAMPLE", "_FACTORED", "_BATCHED"):
        monkeypatch.setattr(registry, table, dict(getattr(registry, table)))


def scale_gradients(layer: Scale, inputs: Tensor, grad_outputs: Tensor, out: Mapping[str, Tensor]) -> None:
    torch.mul(inputs, grad_outputs, out=out["factors"])


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), nn.Tanh(), Scale(4), nn.Linear(4, CLASSES))


def test_per_sample_engine_uses_a_registered_rule() -> None:
    assert not Layerwise(shaken(model())).supports(noise(4, 6))
    assert register_per_sample_rule(Scale)(scale_gradients) is scale_gradients
    assert_equal(*both(shaken(model()), noise(4, 6)))


def test_batched_engine_uses_a_registered_rule() -> None:
    register_per_sample_rule(Scale)(scale_gradients)
    assert_batched_equal(model(), 6, fast=False)

    def forward(layer: Scale, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return inputs, inputs * layer.factors

    @register_batched_rule(Scale, forward=forward)
    def gradients(layer: Scale, batches: int, inputs: Tensor, grad_outputs: Tensor) -> dict[str, Tensor]:
        return {"factors": (inputs * grad_outputs).view(batches, -1, inputs.shape[1]).sum(1)}

    assert_batched_equal(model(), 6)


def test_a_rule_applies_only_to_supported_layers() -> None:
    register_per_sample_rule(Scale, supports=lambda layer: not layer.squared)(scale_gradients)
    assert find_per_sample_rule(Scale(4)) is scale_gradients
    assert find_per_sample_rule(Scale(4, squared=True)) is None


def test_later_rules_replace_earlier_ones_and_exclude_subclasses() -> None:
    register_per_sample_rule(Scale)(lambda *_: None)
    register_per_sample_rule(Scale)(scale_gradients)
    assert find_per_sample_rule(Scale(4)) is scale_gradients
    assert find_per_sample_rule(type("Subclass", (Scale,), {})(4)) is None
    assert find_batched_rule(Scale(4)) is None


def test_every_module_of_the_package_is_imported() -> None:
    names = [module.name for module in iter_modules(layer_rules.__path__)]
    assert {"linear", "convolution", "batch_norm", "group_norm", "layer_norm", "embedding"} <= set(names)
    assert all(hasattr(layer_rules, name) for name in names)


def test_factored_rules_are_found_by_type_and_settings() -> None:
    def rule(layer: Scale, inputs: Tensor, grad_outputs: Tensor, factors: object) -> Tensor:
        return inputs

    assert find_factored_rule(Scale(4)) is None
    assert register_factored_rule(Scale, supports=lambda layer: not layer.squared)(rule) is rule
    assert find_factored_rule(Scale(4)) is rule
    assert find_factored_rule(Scale(4, squared=True)) is None
    assert find_factored_rule(nn.Linear(2, 2)) is not None
