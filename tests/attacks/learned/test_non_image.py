from dataclasses import replace

import pytest
import torch
from tests.support.attack_views import CountingOracle, model_view, row_model, rows, seeded

from palimpsest.attacks import AuditorView, RowInversion
from palimpsest.attacks.learned.non_image import Scale, VectorInverter, VectorPairs, _of_same_class
from palimpsest.errors import DivergenceError
from palimpsest.gradients import gradient_differences


def small_view(**settings: int | None) -> AuditorView:
    return model_view(row_model, rows(5, 1), rows(40, 2), **settings)


def test_the_seed_determines_the_result() -> None:
    view = small_view()
    before = torch.random.get_rng_state()
    first, second = (RowInversion(epochs=2)(view, generator=seeded()) for _ in range(2))
    assert torch.equal(first.images, second.images)
    assert first.history == second.history
    assert torch.equal(torch.random.get_rng_state(), before)
    other = RowInversion(epochs=2)(view, generator=seeded(1))
    assert not torch.equal(other.images, first.images)


# Two of the 40 samples are kept aside for validation, and queried once.
@pytest.mark.parametrize(("limit", "queries"), [(None, 154), (0, 40), (45, 78), (1000, 154)])
def test_queries_stay_within_the_oracles_limit(limit: int | None, queries: int) -> None:
    view = small_view(remaining_queries=limit)
    facts = RowInversion(epochs=1, queries=4)(view, generator=seeded()).facts
    assert facts["queries"] == queries


@pytest.mark.parametrize(("stochastic", "times"), [(False, 1), (True, 5)])
def test_a_stochastic_oracle_is_queried_again(stochastic: bool, times: int) -> None:
    models = row_model(), row_model()
    auxiliary = rows(20, 2)
    proofs = gradient_differences(*models, auxiliary.rows[:3], auxiliary.labels[:3])
    oracle = CountingOracle(*models)
    view = AuditorView(proofs, oracle, auxiliary, "cpu", 2**30, stochastic_oracle=stochastic)
    RowInversion(epochs=10, queries=1, refreshes=5)(view, generator=seeded())
    assert oracle.queries == 20 * times


def test_a_loss_that_is_not_finite_stops_the_attack() -> None:
    with pytest.raises(DivergenceError, match=r"of epoch \d: lower attack\.learning_rate \(now 1e\+30\)"):
        RowInversion(learning_rate=1e30, epochs=5)(small_view(), generator=seeded())


def test_the_history_weights_all_samples_equally() -> None:
    """With one epoch and a learning rate near zero, the mean loss does not depend on the batch size."""
    settings = {"epochs": 1, "queries": 1, "dropout": 0.0, "learning_rate": 1e-12}
    losses = [
        RowInversion(**settings, batch_size=size)(small_view(), generator=seeded()).history["training_loss"][
            0
        ]
        for size in (7, 40)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_proofs_unlike_the_auditors_vectors_give_finite_rows() -> None:
    view = small_view()
    result = RowInversion(epochs=1)(replace(view, proofs=1e20 * view.proofs), generator=seeded())
    assert result.images.isfinite().all()


def test_restore_inverts_standardize() -> None:
    values = torch.randn(30, 3, generator=seeded()) * torch.tensor([1.0, 50.0, 0.0]) + 4
    scale = Scale.of(values)
    standardized = scale.standardize(values)
    torch.testing.assert_close(standardized.mean(0), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(standardized[:, :2].std(0, correction=0), torch.ones(2))
    assert torch.equal(standardized[:, 2], torch.zeros(30))
    torch.testing.assert_close(scale.restore(standardized), values)


def test_batches_follow_the_order() -> None:
    numbers = torch.arange(5.0)[:, None]
    batches = list(VectorPairs(numbers, -numbers).batches(2, torch.tensor([4, 0, 3, 1, 2])))
    assert [features.flatten().tolist() for features, _ in batches] == [[4.0, 0.0], [3.0, 1.0], [2.0]]
    assert all(torch.equal(features, -targets) for features, targets in batches)


def test_partners_have_the_same_class() -> None:
    labels = torch.tensor([0, 1, 1, 0, 2, 1, 0, 1])
    others = _of_same_class(labels, seeded())
    assert torch.equal(labels[others], labels)
    assert others[4] == 4


def test_the_inverter_is_a_linear_map_plus_a_network() -> None:
    inverter = VectorInverter(3, 2, hidden=5, dropout=0.5).eval()
    features = torch.randn(4, 3)
    torch.testing.assert_close(inverter(features), inverter.linear(features) + inverter.network(features))
