"""DP-SGD against a slow loop over samples."""

import pytest
import torch
import torch.nn.functional as F
from tests.support.attack_views import seeded
from torch import Tensor, nn

from palimpsest.errors import ModelError
from palimpsest.federation import (
    DPSGD,
    LocalTraining,
    Release,
    Shard,
    check_private,
    private_gradient,
    sampling,
)
from palimpsest.federation.dp_sgd import poisson_sample
from palimpsest.randomness import derive_seed

DP = DPSGD(clip=0.5, noise_multiplier=1.5)


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 3))


def samples(count: int) -> tuple[Tensor, Tensor]:
    return torch.rand(count, 1, 8, 8, generator=seeded(1)), torch.arange(count) % 3


def reference_sum(model: nn.Module, images: Tensor, labels: Tensor, clip: float) -> Tensor:
    """Add up the clipped gradients, one backward pass for each sample: correct, slow."""
    total = torch.zeros(sum(parameter.numel() for parameter in model.parameters()))
    for image, label in zip(images, labels, strict=True):
        loss = F.cross_entropy(model(image[None]), label[None])
        gradient = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])
        total += gradient * min(1.0, clip / float(gradient.norm()))
    return total


@pytest.mark.parametrize("clip", [0.01, 1.0, 1e6])
def test_clips_each_sample_like_a_loop(clip: float) -> None:
    model, (images, labels) = network(), samples(9)
    dp = DPSGD(clip=clip, noise_multiplier=1e-3)
    found = private_gradient(model, images, labels, dp, expected=4.5, generator=seeded(2))
    noise = torch.randn(found.shape, generator=seeded(2)) * 1e-3 * clip
    expected = (reference_sum(model, images, labels, clip) + noise) / 4.5
    torch.testing.assert_close(found, expected, atol=1e-5 * max(1, clip * 1e-3), rtol=1e-4)


def test_noise_has_the_documented_variance_even_without_samples() -> None:
    model, (images, labels) = network(), samples(4)
    none = private_gradient(model, images[:0], labels[:0], DP, expected=8, generator=seeded(2))
    assert float(none.std()) == pytest.approx(1.5 * 0.5 / 8, rel=0.1)
    exact = reference_sum(model, images, labels, DP.clip) / 8
    generator = seeded(4)
    draws = torch.stack(
        [private_gradient(model, images, labels, DP, expected=8, generator=generator) for _ in range(60)]
    )
    assert float((draws - exact).std()) == pytest.approx(1.5 * 0.5 / 8, rel=0.03)
    assert float((draws.mean(0) - exact).std()) == pytest.approx(1.5 * 0.5 / 8 / 60**0.5, rel=0.15)


def test_sampling_is_independent_for_each_row() -> None:
    rows = torch.arange(100, 140)
    generator = seeded()
    drawn = [poisson_sample(rows, 0.3, generator) for _ in range(500)]
    counts = torch.stack([torch.isin(rows, one) for one in drawn]).double()
    assert float(counts.mean()) == pytest.approx(0.3, abs=0.02)
    # A fixed batch size would have no variance.
    assert float(counts.sum(1).var()) == pytest.approx(40 * 0.3 * 0.7, rel=0.2)
    assert torch.equal(poisson_sample(rows, 1.0, generator), rows)


def test_rate_and_steps_of_an_epoch() -> None:
    assert sampling(100, 32) == (0.32, 4)
    assert sampling(20, 32) == (1.0, 1)


def test_local_training_is_dp_sgd() -> None:
    images, labels = samples(20)
    shard = Shard(images, labels, torch.arange(2, 18))
    work = LocalTraining(epochs=2, batch_size=6, learning_rate=0.1, momentum=0.9, weight_decay=0.01, dp=DP)
    assert work.release(7, len(shard)) == Release(7, 6 / 16, 6, 1.5)
    model = network()
    outcome = work(model, shard, seed=5)
    assert outcome.steps == 6

    reference = network()
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    generator = torch.Generator().manual_seed(derive_seed(5, "dp", "train"))
    for _ in range(6):
        chosen = shard.rows[torch.rand(16, generator=generator) < 6 / 16]
        total = reference_sum(reference, images[chosen], labels[chosen], DP.clip)
        total += DP.noise_multiplier * DP.clip * torch.randn(total.shape, generator=generator)
        sizes = [parameter.numel() for parameter in reference.parameters()]
        for parameter, part in zip(reference.parameters(), (total / 6).split(sizes), strict=True):
            parameter.grad = part.view_as(parameter)
        optimizer.step()
    for parameter, expected in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("layer", "message"), [(nn.BatchNorm2d(3), "mixes the samples"), (nn.Dropout(0.2), "model.dropout")]
)
def test_refuses_layers_that_it_can_not_train(layer: nn.Module, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_private(nn.Sequential(nn.Conv2d(1, 3, 3), layer))
    check_private(network())
