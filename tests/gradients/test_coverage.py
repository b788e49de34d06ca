import pytest
import torch
from torch import Tensor, nn

from palimpsest.gradients.coverage import (
    columns_of,
    copies_stay_apart,
    expanded,
    find_coverage,
    layers_of,
    only_trainable,
)


class Tokens(nn.Module):
    """Patches with positions and a class token, and a head whose weight may be tied to the patches'."""

    def __init__(self, *, tied: bool = False) -> None:
        super().__init__()
        self.token, self.positions = nn.Parameter(torch.ones(1, 1, 4)), nn.Parameter(torch.ones(1, 3, 4))
        self.scale = nn.Parameter(torch.ones(4))
        self.patches, self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.PReLU()
        if tied:
            self.inner.weight = self.patches.weight

    def forward(self, rows: Tensor) -> Tensor:
        tokens = self.patches(rows.view(-1, 2, 4))
        tokens = torch.cat([self.token.expand(len(rows), -1, -1), tokens], 1) + self.positions
        return self.head(self.inner(tokens * self.scale)).sum(1)


def test_parameters_are_divided_by_who_holds_them() -> None:
    coverage = find_coverage(Tokens())
    assert coverage.by_rule == ("patches.weight", "patches.bias", "inner.weight", "inner.bias")
    assert coverage.copied == ("token", "positions")
    assert coverage.others == ("scale", "head.weight")
    assert coverage.without_copies().others == ("token", "positions", "scale", "head.weight")


def test_layers_with_a_tied_parameter_are_left_out_with_all_their_parameters() -> None:
    coverage = find_coverage(Tokens(tied=True))
    assert coverage.by_rule == ()
    assert set(coverage.others) >= {"patches.weight", "patches.bias", "inner.bias"}


def test_frozen_parameters_are_in_no_group() -> None:
    model = Tokens()
    model.positions.requires_grad_(False)
    model.patches.weight.requires_grad_(False)
    coverage = find_coverage(model)
    assert "positions" not in coverage.copied
    assert coverage.by_rule == ("patches.bias", "inner.weight", "inner.bias")


def test_columns_and_layers_follow_the_order_of_the_parameters() -> None:
    model = Tokens()
    columns = columns_of(dict(model.named_parameters()))
    assert columns["token"] == slice(0, 4)
    assert columns["positions"] == slice(4, 16)
    assert list(layers_of(model, ["inner.bias", "scale"])) == ["", "inner"]


def test_copies_of_tokens_and_positions_stay_apart() -> None:
    rows = torch.rand(3, 8, generator=torch.Generator().manual_seed(0))
    assert copies_stay_apart(Tokens().eval(), rows, ["token", "positions"])


@pytest.mark.parametrize(
    "use",
    [
        lambda rows, parameter: rows + parameter[0],
        lambda rows, parameter: rows + parameter[-1],
        lambda rows, parameter: rows + parameter.mean(0),
        lambda rows, parameter: rows @ parameter.T,
        lambda rows, parameter: rows + parameter.view(4),
    ],
    ids=["first row", "last row", "mean", "weight", "view"],
)
def test_copies_that_mix_samples_or_fail_are_noticed(use) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parameter, self.head = nn.Parameter(torch.ones(1, 4)), nn.LazyLinear(3)

        def forward(self, rows: Tensor) -> Tensor:
            return self.head(use(rows, self.parameter))

    model = Net().eval()
    rows = torch.rand(2, 4, generator=torch.Generator().manual_seed(0))
    model(rows)
    assert not copies_stay_apart(model, rows, ["parameter"])


def test_a_copy_has_a_row_for_each_sample_and_no_memory() -> None:
    parameter = torch.rand(1, 3, 2)
    assert expanded(parameter, 5).shape == (5, 3, 2)
    assert expanded(parameter, 5).data_ptr() == parameter.data_ptr()


def test_flags_are_restored_even_after_an_error() -> None:
    model = Tokens()
    model.scale.requires_grad_(False)

    def fail() -> None:
        with only_trainable(model, ["scale"]):
            assert [name for name, value in model.named_parameters() if value.requires_grad] == ["scale"]
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert not model.scale.requires_grad
    assert model.token.requires_grad
