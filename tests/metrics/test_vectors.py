import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from palimpsest.datasets import RowSet, TokenSet
from palimpsest.errors import DatasetError, DivergenceError
from palimpsest.metrics import SampleScores, evaluate_samples, sample_errors


def rows(count: int, seed: int = 0) -> RowSet:
    values = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)) * torch.tensor(
        [1.0, 50.0, 0.01]
    )
    return RowSet("rows", values, torch.zeros(count, dtype=torch.int64), 1, ("a", "b", "c"))


def tokens(count: int, seed: int = 0) -> TokenSet:
    values = torch.randint(0, 9, (count, 5), generator=torch.Generator().manual_seed(seed))
    return TokenSet("tokens", values, torch.zeros(count, dtype=torch.int64), 1)


def scored(
    reconstructions: Tensor, originals: RowSet | TokenSet, auxiliary: RowSet | TokenSet
) -> SampleScores:
    generator = torch.Generator().manual_seed(0)
    return evaluate_samples(reconstructions, originals, auxiliary, bootstrap=50, generator=generator)


def test_originals_score_zero_and_the_mean_row_about_one() -> None:
    originals, auxiliary = rows(200, 1), rows(300)
    perfect = scored(originals.rows, originals, auxiliary)
    assert perfect.reconstruction() == {
        "mse": 0,
        "mae": 0,
        "identification_top1": 1,
        "identification_top5": 1,
        "count": 200,
    }
    assert perfect.baselines["typical"]["mse"] == pytest.approx(1, abs=0.2)
    assert perfect.baselines["typical"]["identification_top1"] < 0.05
    assert perfect.baselines["nearest_auxiliary"]["mse"] < perfect.baselines["typical"]["mse"]
    assert perfect.chance()["identification_top1"] == 1 / 200


@given(st.lists(st.floats(0.01, 1000), min_size=3, max_size=3))
def test_units_do_not_matter(scales: list[float]) -> None:
    originals, auxiliary, guess = rows(20, 1), rows(30), rows(20, 2)
    factor = torch.tensor(scales)
    unscaled = scored(guess.rows, originals, auxiliary).reconstruction()
    scaled = scored(
        guess.rows * factor,
        RowSet("rows", originals.rows * factor, originals.labels, 1, originals.columns),
        RowSet("rows", auxiliary.rows * factor, auxiliary.labels, 1, auxiliary.columns),
    ).reconstruction()
    assert scaled["mse"] == pytest.approx(unscaled["mse"], rel=1e-4)


def test_token_scores_equal_a_manual_count() -> None:
    originals, guess = tokens(12, 1), tokens(12, 2)
    scores = scored(guess.tokens, originals, tokens(40)).per_sample
    pairs = zip(guess.tokens.tolist(), originals.tokens.tolist(), strict=True)
    for row, (answer, truth) in enumerate(pairs):
        assert scores["token_accuracy"][row] == pytest.approx(
            sum(a == b for a, b in zip(answer, truth, strict=True)) / 5
        )
        assert scores["token_recall"][row] == pytest.approx(
            sum(t in answer for t in set(truth)) / len(set(truth))
        )
        wrong = [
            sum(a != b for a, b in zip(answer, other, strict=True)) for other in originals.tokens.tolist()
        ]
        rank = sum(count <= wrong[row] for count in wrong)
        assert bool(scores["identification_top1"][row]) == (rank == 1)
        assert bool(scores["identification_top5"][row]) == (rank <= 5)


def test_a_constant_reconstruction_identifies_at_most_one_sample() -> None:
    originals = tokens(10, 1)
    same = originals.tokens[:1].expand(10, -1)
    assert scored(same, originals, tokens(10)).per_sample["identification_top1"].sum() <= 1


def test_rejects_mismatched_or_nonfinite_inputs() -> None:
    with pytest.raises(DatasetError, match=r"rows of a table .* sequences of tokens"):
        scored(rows(3).rows, rows(3), tokens(3))
    with pytest.raises(DatasetError, match="one reconstruction for each"):
        scored(rows(2).rows, rows(3), rows(3))
    with pytest.raises(DivergenceError, match="NaN or infinity"):
        scored(torch.full((3, 3), torch.nan), rows(3), rows(3))


def test_scores_are_stored(tmp_path) -> None:
    before = scored(rows(4, 2).rows, rows(4, 1), rows(9))
    before.save(tmp_path / "scores.safetensors")
    after = SampleScores.load(tmp_path / "scores.safetensors")
    assert after.reconstruction() == before.reconstruction()
    assert set(after.meanings()) == set(after.per_sample)


def test_sample_errors_of_rows_are_scaled_by_the_auxiliary_deviation() -> None:
    originals, auxiliary, guess = rows(7, 1), rows(9), rows(7, 2)
    scale = auxiliary.rows.std(0, correction=0)
    expected = ((guess.rows[:, None] - originals.rows) / scale).square().mean(2)
    torch.testing.assert_close(
        sample_errors(guess.rows, originals, auxiliary), expected, rtol=1e-4, atol=1e-5
    )
    mean = float(expected.diagonal().mean())
    assert scored(guess.rows, originals, auxiliary).reconstruction()["mse"] == pytest.approx(mean, rel=1e-4)


def test_sample_errors_of_sequences_are_shares_of_wrong_tokens() -> None:
    originals, guess = tokens(7, 1), tokens(7, 2)
    expected = (guess.tokens[:, None] != originals.tokens).float().mean(2)
    torch.testing.assert_close(sample_errors(guess.tokens, originals, tokens(9)), expected)


def test_constant_columns_are_not_scaled() -> None:
    originals, auxiliary = rows(8, 1), rows(9)
    auxiliary.rows[:, 1] = 3.0
    scores = scored(originals.rows + torch.tensor([0, 2.0, 0]), originals, auxiliary).reconstruction()
    assert scores["mae"] == pytest.approx(2 / 3)


def test_a_constant_column_is_not_scaled() -> None:
    rows = torch.full((1001, 1), 0.1)
    auxiliary = RowSet("constant", rows, torch.zeros(1001, dtype=torch.int64), 1, ("a",))
    errors = sample_errors(torch.full((1, 1), 0.3), auxiliary.subset(torch.tensor([0])), auxiliary)
    torch.testing.assert_close(errors, torch.tensor([[0.04]]))


def test_chance_is_one_and_five_divided_by_the_number_of_samples() -> None:
    chance = {count: scored(tokens(count).tokens, tokens(count), tokens(9)).chance() for count in (3, 20)}
    assert chance[3] == {"identification_top1": 1 / 3, "identification_top5": 1}
    assert chance[20] == {"identification_top1": 1 / 20, "identification_top5": 5 / 20}
