from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from palimpsest.attacks.inversion_training import Pairs, TrainingPlan, invert, train_inverter
from palimpsest.attacks.perceptual import VggFeatures, perceptual_distance
from palimpsest.errors import DivergenceError

PLAN = TrainingPlan(
    epochs=3,
    batch_size=8,
    learning_rate=1e-2,
    beta=0.0,
    perceptual_batch=None,
    precision="float32",
    device="cpu",
)


class Scale(nn.Module):
    """One number to learn: images are features times `factor`."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))

    def forward(self, features: Tensor) -> Tensor:
        return (features * self.factor).view(-1, 1, 2, 2)


def pairs(count: int = 32) -> Pairs:
    features = torch.rand(count, 4, generator=torch.Generator().manual_seed(0))
    return Pairs(features, (features * 0.8).view(-1, 1, 2, 2))


def test_adam_minimises_equation_7_step_by_step() -> None:
    """The same steps written out with bare torch give the same parameter."""
    network = Scale()
    train_inverter(network, pairs(), pairs(4), None, PLAN, generator=torch.Generator().manual_seed(5))
    slow, data = Scale(), pairs()
    optimizer = torch.optim.Adam(slow.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(5)
    torch.randint(2**62, (), generator=generator)
    for _ in range(3):
        for rows in torch.randperm(32, generator=generator).split(8):
            loss = (slow(data.features[rows]) - data.images[rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.testing.assert_close(network.factor, slow.factor)


def test_the_loss_is_equation_6_and_a_part_of_the_batch_estimates_its_second_term() -> None:
    class Colour(Scale):
        def forward(self, features: Tensor) -> Tensor:
            return super().forward(features).expand(-1, 3, -1, -1).repeat(1, 1, 4, 4)

    weights = {}
    for name, size in (("0", (64, 3)), ("2", (64, 64)), ("5", (128, 64)), ("7", (128, 128))):
        weights[f"features.{name}.weight"] = (
            torch.randn(*size, 3, 3, generator=torch.Generator().manual_seed(1)) / 30
        )
        weights[f"features.{name}.bias"] = torch.zeros(size[0])
    phi = VggFeatures(weights)
    network = Colour()
    features = pairs().features
    data = Pairs(features, (Colour()(features) * 1.6).detach())
    for few in (None, 2):
        plan = replace(PLAN, epochs=1, batch_size=32, beta=0.5, perceptual_batch=few, learning_rate=1e-9)
        curves = train_inverter(network, data, data, phi, plan, generator=torch.Generator().manual_seed(5))
        generator = torch.Generator().manual_seed(5)
        torch.randint(2**62, (), generator=generator)
        rows = torch.randperm(32, generator=generator)
        mine, images = network(features[rows]), data.images[rows]
        slow = (mine - images).square().mean() + 0.5 * perceptual_distance(phi, mine[:few], images[:few])
        assert curves["training_loss"][0] == pytest.approx(slow.item(), rel=1e-4)


def test_curves_have_a_value_an_epoch_and_no_validation_is_allowed() -> None:
    curves = train_inverter(
        Scale(),
        pairs(),
        Pairs(torch.empty(0, 4), torch.empty(0, 1, 2, 2)),
        None,
        PLAN,
        generator=torch.Generator(),
    )
    assert len(curves["training_loss"]) == 3
    assert "validation_mse" not in curves


def test_divergence_is_told_with_its_remedy() -> None:
    data = pairs()
    broken = Pairs(data.features * float("nan"), data.images)
    with pytest.raises(DivergenceError, match=r"epoch 1: lower attack.learning_rate"):
        train_inverter(Scale(), broken, pairs(4), None, PLAN, generator=torch.Generator())


def test_inversion_keeps_order_and_sets_eval_mode() -> None:
    network = nn.Sequential(Scale(), nn.Dropout(0.9)).train()
    data = pairs()
    images = invert(network, data.features, device="cpu", batch_size=5)
    torch.testing.assert_close(images, network[0](data.features))
