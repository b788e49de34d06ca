from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from palimpsest.attacks.learned.image_training import ImagePairs, TrainingPlan, invert, train_inverter
from palimpsest.attacks.learned.perceptual_loss import VggFeatures, perceptual_distance
from palimpsest.errors import DivergenceError

PLAN = TrainingPlan(
    epochs=3,
    batch_size=8,
    learning_rate=1e-2,
    schedule="constant",
    beta=0.0,
    perceptual_batch=None,
    precision="float32",
    device="cpu",
)


class Scale(nn.Module):
    """Network with one parameter: images are features times `factor`."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))

    def forward(self, features: Tensor) -> Tensor:
        return (features * self.factor).view(-1, 1, 2, 2)


def pairs(count: int = 32) -> ImagePairs:
    features = torch.rand(count, 4, generator=torch.Generator().manual_seed(0))
    return ImagePairs(features, to_uint8(features * 0.8), torch.arange(count))


def in_every_epoch(pairs_of_all_epochs: ImagePairs) -> Callable[[int], ImagePairs]:
    return lambda epoch: pairs_of_all_epochs


def to_uint8(images: Tensor) -> Tensor:
    return (images * 255).round().to(torch.uint8).view(-1, 1, 2, 2)


def test_adam_minimizes_equation_7() -> None:
    """The same steps with plain torch, a slow reference, give the same parameter."""
    network = Scale()
    train_inverter(
        network, in_every_epoch(pairs()), pairs(4), None, PLAN, generator=torch.Generator().manual_seed(5)
    )
    reference, data = Scale(), pairs()
    optimizer = torch.optim.Adam(reference.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(5)
    torch.randint(2**62, (), generator=generator)
    for _ in range(3):
        for rows in torch.randperm(32, generator=generator).split(8):
            loss = (reference(data.features[rows]) - data.images_uint8[rows] / 255).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.testing.assert_close(network.factor, reference.factor)


def test_the_loss_is_equation_6() -> None:
    class Color(Scale):
        def forward(self, features: Tensor) -> Tensor:
            return super().forward(features).expand(-1, 3, -1, -1).repeat(1, 1, 4, 4)

    weights = {}
    for name, size in (("0", (64, 3)), ("2", (64, 64)), ("5", (128, 64)), ("7", (128, 128))):
        weights[f"features.{name}.weight"] = (
            torch.randn(*size, 3, 3, generator=torch.Generator().manual_seed(1)) / 30
        )
        weights[f"features.{name}.bias"] = torch.zeros(size[0])
    phi = VggFeatures(weights)
    network = Color()
    features = pairs().features
    images = (Color()(features) * 1.6).clamp(0, 1).detach()
    data = ImagePairs(features, (images * 255).round().to(torch.uint8), torch.arange(32))
    for part in (None, 2):
        plan = replace(PLAN, epochs=1, batch_size=32, beta=0.5, perceptual_batch=part, learning_rate=1e-9)
        history = train_inverter(
            network, in_every_epoch(data), data, phi, plan, generator=torch.Generator().manual_seed(5)
        )
        generator = torch.Generator().manual_seed(5)
        torch.randint(2**62, (), generator=generator)
        rows = torch.randperm(32, generator=generator)
        outputs, targets = network(features[rows]), data.images_uint8[rows] / 255
        expected = (outputs - targets).square().mean() + 0.5 * perceptual_distance(
            phi, outputs[:part], targets[:part]
        )
        assert history["training_loss"][0] == pytest.approx(expected.item(), rel=1e-4)


def test_one_cycle_raises_and_lowers_the_rate_of_adamw() -> None:
    plan = replace(PLAN, schedule="one-cycle", epochs=5)
    network, reference, data = Scale(), Scale(), pairs()
    train_inverter(
        network, in_every_epoch(data), pairs(4), None, plan, generator=torch.Generator().manual_seed(5)
    )
    optimizer = torch.optim.AdamW(reference.parameters(), lr=1e-2, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=20, pct_start=0.1)
    generator = torch.Generator().manual_seed(5)
    torch.randint(2**62, (), generator=generator)
    rates = []
    for _ in range(5):
        for rows in torch.randperm(32, generator=generator).split(8):
            loss = (reference(data.features[rows]) - data.images_uint8[rows] / 255).square().mean()
            optimizer.zero_grad()
            loss.backward()
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
    torch.testing.assert_close(network.factor, reference.factor)
    assert max(rates) > 10 * max(rates[0], rates[-1])


@pytest.mark.parametrize("epochs", range(1, 14))
def test_any_number_of_steps_has_a_schedule(epochs: int) -> None:
    plan = replace(PLAN, schedule="one-cycle", epochs=epochs, batch_size=32)
    network = Scale()
    train_inverter(
        network, in_every_epoch(pairs()), pairs(4), None, plan, generator=torch.Generator().manual_seed(5)
    )
    assert network.factor.isfinite()


def test_each_epoch_requests_its_pairs() -> None:
    epochs = []

    def training_pairs(epoch: int) -> ImagePairs:
        epochs.append(epoch)
        return pairs()

    train_inverter(Scale(), training_pairs, pairs(4), None, PLAN, generator=torch.Generator())
    assert epochs == [0, 0, 1, 2]


def test_batches_are_float32_and_of_the_selected_rows() -> None:
    data = pairs()
    selected = ImagePairs(data.features.half(), data.images_uint8, torch.tensor([3, 5, 7]))
    features, images = next(selected.batches(2, torch.tensor([2, 0, 1])))
    torch.testing.assert_close(features, data.features[[7, 3]], rtol=1e-3, atol=1e-3)
    assert features.dtype == images.dtype == torch.float32
    assert torch.equal(images, data.images_uint8[[7, 3]] / 255)


def test_the_history_has_one_value_per_epoch_and_validation_is_optional() -> None:
    history = train_inverter(
        Scale(),
        in_every_epoch(pairs()),
        replace(pairs(), rows=torch.arange(0)),
        None,
        PLAN,
        generator=torch.Generator(),
    )
    assert len(history["training_loss"]) == 3
    assert "validation_mse" not in history


def test_the_error_about_divergence_names_the_remedy() -> None:
    data = pairs()
    broken = replace(data, features=data.features * float("nan"))
    with pytest.raises(
        DivergenceError, match=r"inverter is nan in step 1 of epoch 1: lower attack.learning_rate"
    ):
        train_inverter(Scale(), in_every_epoch(broken), pairs(4), None, PLAN, generator=torch.Generator())


def test_invert_keeps_the_order_and_sets_eval_mode() -> None:
    network = nn.Sequential(Scale(), nn.Dropout(0.9)).train()
    data = pairs()
    images = invert(network, data.features, device="cpu", batch_size=5)
    torch.testing.assert_close(images, network[0](data.features))
