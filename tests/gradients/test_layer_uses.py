from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from tests.support.layer_gradients import noise
from torch import Tensor, nn

from palimpsest.gradients.layer_uses import RowCountError, Use, has_rule, observe


class Attending(nn.Module):
    """A linear layer that is called by keyword, and attention, which has a decomposition."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.attention = nn.Linear(4, 4), nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, rows: Tensor) -> Tensor:
        rows = self.first(input=rows)
        return self.attention(rows, rows, rows)[0]

    @property
    def layers(self) -> dict[str, nn.Module]:
        return {
            "first": self.first,
            "attention": self.attention,
            "attention.out_proj": self.attention.out_proj,
        }


def test_layers_with_a_rule_or_a_decomposition_have_a_rule() -> None:
    assert has_rule(nn.Linear(2, 3))
    assert has_rule(nn.LSTM(2, 3))
    assert not has_rule(nn.PReLU())
    assert not has_rule(nn.BatchNorm2d(3, track_running_stats=False))


def test_visits_each_use_and_keeps_the_results() -> None:
    model, rows, uses = Attending().double().eval(), noise(2, 3, 4), list[Use]()
    expected = model(rows)

    def visit(use: Use) -> Tensor:
        uses.append(use)
        return use.values

    with observe(model.layers, visit):
        torch.testing.assert_close(model(rows), expected)
    assert [use.layer for use in uses] == list(model.layers)
    assert [use.decomposed for use in uses] == [False, True, False]
    assert uses[0].parameters == ["weight", "bias"]
    torch.testing.assert_close(uses[0].saved, [rows])
    torch.testing.assert_close(uses[2].values, expected)
    for use in uses:
        use.check_rows(2)


def test_the_pass_continues_with_the_values_that_the_visit_returns() -> None:
    model, rows = nn.Sequential(nn.Linear(4, 3)).double(), noise(2, 4)
    with observe({"0": model[0]}, lambda use: use.values * 2):
        doubled = model(rows)
    torch.testing.assert_close(doubled, 2 * model(rows))


def test_nothing_is_left_behind_even_by_an_error() -> None:
    model = Attending().double().eval()
    with pytest.raises(RuntimeError, match="stop"), observe(model.layers, lambda use: use.values):
        raise RuntimeError("stop")
    assert not any(module._forward_hooks or "forward" in vars(module) for module in model.modules())


@pytest.mark.parametrize("rows", [1, 3])
def test_a_single_row_is_expanded_to_one_for_each_sample(rows: int) -> None:
    layer, uses = nn.Linear(4, 3).double(), list[Use]()

    def visit(use: Use) -> Tensor:
        uses.append(use)
        return use.values

    with observe({"layer": layer}, visit, rows=rows):
        outputs = layer(noise(1, 4)), layer(noise(2, 4))
    assert [len(output) for output in outputs] == [rows, 2]
    assert [use.shared for use in uses] == [True, False]
    uses[0].check_rows(rows)
    torch.testing.assert_close(outputs[0], layer(noise(1, 4)).expand(rows, 3))


def test_another_number_of_rows_is_an_error() -> None:
    with (
        pytest.raises(RowCountError, match="deep was called with 2 rows for 3 samples"),
        observe(
            {"deep": (layer := nn.Linear(4, 3).double())}, lambda use: (use.check_rows(3), use.values)[1]
        ),
    ):
        layer(noise(2, 4))


def test_visits_and_decompositions_run_in_the_given_context() -> None:
    model, active, seen = Attending().double().eval(), list[int](), list[bool]()

    @contextmanager
    def around() -> Iterator[None]:
        active.append(1)
        yield
        active.pop()

    def visit(use: Use) -> Tensor:
        seen.append(bool(active))
        return use.values

    with observe(model.layers, visit, around=around):
        model(noise(2, 3, 4))
    assert seen == [True, True, True]
    assert not active
