import torch
from tests.support.attack_views import model_view, row_model, rows, seeded

from palimpsest.attacks import RowInversion

SMALL = {"epochs": 30, "hidden": 64, "queries": 4}


def test_reconstructed_rows_are_closer_than_the_mean_row() -> None:
    forgotten, auxiliary = rows(30, 1), rows(200, 2)
    result = RowInversion(**SMALL)(model_view(row_model, forgotten, auxiliary), generator=seeded())
    error = (result.images - forgotten.rows).square().mean()
    assert error < 0.3 * (auxiliary.rows.mean(0) - forgotten.rows).square().mean()
    assert result.history["training_loss"][-1] < result.history["training_loss"][0]


def test_columns_stay_in_the_range_of_the_auxiliary_rows() -> None:
    auxiliary = rows(50, 2)
    outputs = RowInversion().decode(1e6 * torch.randn(9, 4, generator=seeded()), auxiliary)
    assert (outputs >= auxiliary.rows.amin(0)).all()
    assert (outputs <= auxiliary.rows.amax(0)).all()


def test_a_mixture_lies_between_a_row_and_its_partner() -> None:
    first, second = rows(40, 1).rows, rows(40, 2).rows
    mixed = RowInversion().mix(first, second, seeded())
    share = (mixed - first) / (second - first)
    torch.testing.assert_close(share, share[:, :1].expand(-1, 4), rtol=1e-3, atol=1e-3)
    assert ((share >= -1e-3) & (share <= 1 + 1e-3)).all()
    assert share[:, 0].std() > 0.1
