from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.support.attack_views import seeded
from torch import Tensor, nn

from palimpsest.attacks.learned.training import (
    Training,
    global_seed,
    make_fabric,
    mean_over_pairs,
    mean_over_steps,
    refreshed_pairs,
    train,
)
from palimpsest.errors import DivergenceError


@dataclass(frozen=True)
class LinearPairs:
    """Pairs of a number and its double."""

    numbers: Tensor

    def __len__(self) -> int:
        return len(self.numbers)

    def batches(self, size: int, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in order.split(size):
            yield self.numbers[rows], 2 * self.numbers[rows]


def pairs(count: int = 10) -> LinearPairs:
    return LinearPairs(torch.rand(count, 1, generator=seeded(1)))


def network(factor: float = 0.5) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, factor)
    return layer


def training(model: nn.Module, **settings: Any) -> Training:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    defaults = {
        "description": "layer",
        "epochs": 3,
        "batch_size": 4,
        "loss": F.mse_loss,
        "optimizer": optimizer,
        "schedule": torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5),
        "errors": lambda outputs, targets: (outputs - targets).square().flatten(),
        "remedy": "lower the rate",
        "names": ("loss", "validation"),
    }
    return Training(**defaults | settings)


def run(model: nn.Module, validation: LinearPairs | None = None, **settings: Any) -> dict[str, list[float]]:
    return train(
        model,
        lambda epoch: pairs(),
        validation,
        training(model, **settings),
        generator=seeded(5),
        fabric=make_fabric("float32", "cpu"),
    )


@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize("mean", [mean_over_steps, mean_over_pairs])
def test_equals_the_reference_loop(interval: str, mean: Any) -> None:
    """The reference takes the same steps with plain torch: correct, slow."""
    model, reference, data = network(), network(), pairs()
    history = run(model, pairs(7), schedule_interval=interval, mean_loss=mean)
    rate, generator = 0.1, seeded(5)
    for epoch in range(3):
        losses, sizes = [], []
        for rows in torch.randperm(10, generator=generator).split(4):
            inputs, targets = data.numbers[rows], 2 * data.numbers[rows]
            loss = (reference(inputs) - targets).square().mean()
            reference.zero_grad()
            loss.backward()
            reference.weight.data -= rate * reference.weight.grad
            losses.append(float(loss.detach()))
            sizes.append(len(rows))
            rate *= 0.5 if interval == "step" else 1
        rate *= 0.5 if interval == "epoch" else 1
        weights = sizes if mean is mean_over_pairs else [1] * len(sizes)
        expected = sum(loss * weight for loss, weight in zip(losses, weights, strict=True)) / sum(weights)
        assert history["loss"][epoch] == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(model.weight, reference.weight)
    assert len(history["validation"]) == 3
    numbers = pairs(7).numbers
    error = float((model(numbers) - 2 * numbers).square().mean().detach())
    assert history["validation"][-1] == pytest.approx(error, rel=1e-5)
    assert not model.training


@pytest.mark.parametrize("validation", [None, LinearPairs(torch.empty(0, 1))])
def test_without_validation_pairs_the_history_has_no_error(validation: LinearPairs | None) -> None:
    assert run(network(), validation).keys() == {"loss"}


def test_means_differ_by_the_weight_of_a_smaller_batch() -> None:
    losses = [torch.tensor(1.0), torch.tensor(4.0)]
    assert mean_over_steps(losses, [4, 2]) == 2.5
    assert mean_over_pairs(losses, [4, 2]) == 2.0


def test_a_loss_that_is_not_finite_stops_before_the_step() -> None:
    model = network()
    with pytest.raises(
        DivergenceError, match="loss of the layer is inf in step 1 of epoch 1: lower the rate"
    ):
        run(model, loss=lambda outputs, targets: F.mse_loss(outputs, targets) * torch.inf)
    assert model.weight.item() == 0.5


def test_each_epoch_is_reported() -> None:
    model, reported = network(), []
    history = train(
        model,
        lambda epoch: pairs(),
        pairs(3),
        training(model),
        generator=seeded(),
        fabric=make_fabric("float32", "cpu"),
        on_epoch=reported.append,
    )
    assert [values["loss"] for values in reported] == history["loss"]
    assert [values["validation MSE"] for values in reported] == history["validation"]


def test_the_global_seed_is_restored() -> None:
    before = torch.random.get_rng_state()
    with global_seed(3):
        first = torch.rand(2)
    assert torch.equal(torch.random.get_rng_state(), before)
    with global_seed(3):
        assert torch.equal(torch.rand(2), first)


@pytest.mark.parametrize(("refreshes", "sets"), [(1, 1), (2, 2), (3, 3), (6, 6), (20, 6)])
def test_refreshes_are_spread_over_the_epochs(refreshes: int, sets: int) -> None:
    renewed = []

    def renew() -> LinearPairs:
        renewed.append(pairs())
        return renewed[-1]

    first = pairs()
    training_pairs = refreshed_pairs(first, renew, refreshes=refreshes, epochs=6)
    used = [training_pairs(epoch) for epoch in range(6)]
    assert used[0] is first
    assert len({id(value) for value in used}) == sets == len(renewed) + 1
    lengths = [sum(value is candidate for value in used) for candidate in [first, *renewed]]
    assert max(lengths) - min(lengths) <= 1


def growing_rate(model: nn.Module, factor: float) -> dict[str, Any]:
    """Settings with a step size that grows each epoch, so that the training first converges and then diverges."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, factor)
    return {"optimizer": optimizer, "schedule": schedule, "schedule_interval": "epoch", "epochs": 12}


def test_stops_early_and_keeps_the_best_weights() -> None:
    model = network()
    history = run(model, pairs(7), patience=2, **growing_rate(model, 3.0))
    errors = history["validation"]
    best = min(range(len(errors)), key=errors.__getitem__)
    assert len(errors) == best + 3 < 12
    data = pairs(7).numbers
    with torch.no_grad():
        assert float((model(data) - 2 * data).square().mean()) == pytest.approx(errors[best], rel=1e-5)


def test_without_patience_all_epochs_are_trained_and_the_last_weights_kept() -> None:
    model = network()
    settings = growing_rate(model, 1.5) | {"epochs": 6}
    history = run(model, pairs(7), **settings)
    assert len(history["validation"]) == 6
    data = pairs(7).numbers
    with torch.no_grad():
        assert float((model(data) - 2 * data).square().mean()) == pytest.approx(
            history["validation"][-1], rel=1e-5
        )


def test_patience_without_validation_pairs_trains_all_epochs() -> None:
    assert len(run(network(), None, patience=1)["loss"]) == 3
