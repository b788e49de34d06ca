"""Attackers who know the noise: likelihood, Gaussian prior, and the stop at the noise's expected norm."""

import dataclasses
import math
from typing import Any

import pytest
import torch
from tests.support.attack_views import World, seeded
from torch import Tensor, nn

from palimpsest.attacks import (
    DRAGD,
    DirectDifference,
    GaussianMechanism,
    GradientNoise,
    Knowledge,
    MatchingAttack,
    Spectrum,
)
from palimpsest.attacks.matching.noise import clipped, shrinkage
from palimpsest.registry import ATTACKS

NAMES = [name for name, attack in ATTACKS if issubclass(attack, MatchingAttack)]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def noisy(clients: World, sigma: float, clip: float | None = None) -> Any:
    """Return the view of a server that receives clipped and noisy gradients and knows it."""
    view = clients.view
    released = {
        name: (clipped(value, clip) if clip else value) + sigma * normal(*value.shape, seed=seed).float()
        for seed, name in enumerate(("gradients_before", "gradients_after"))
        for value in [getattr(view.observation, name)]
    }
    observation = dataclasses.replace(view.observation, **released)
    return dataclasses.replace(view, observation=observation, mechanism=GaussianMechanism(sigma, clip))


def test_misfit_of_the_truth_is_the_number_of_coordinates() -> None:
    true = 3 * normal(500, 40)
    observed = clipped(true, 2.0) + 0.3 * normal(500, 40, seed=1)
    misfit = GradientNoise(0.3, clip=2.0).misfit(true, observed, "euclidean")
    assert float(misfit.mean()) == pytest.approx(40, rel=0.05)
    # Without the clipping, the prediction is too long.
    assert float(GradientNoise(0.3).misfit(true, observed, "euclidean").mean()) > 1000


@pytest.mark.parametrize(("objective", "largest"), [("euclidean", 1.0), ("cosine", 50.0)])
def test_an_unknown_scale_is_the_likeliest_one(objective: Any, largest: float) -> None:
    predicted, observed = normal(20, 6), 2 * normal(20, 6, seed=1)
    found = GradientNoise(0.5, unknown_scale=True).misfit(predicted, observed, objective)
    scales = torch.linspace(0, largest, 20_001, dtype=torch.float64)[:, None, None]
    tried = (scales * predicted - observed).square().sum(-1) / 0.25
    torch.testing.assert_close(found, tried.min(dim=0).values, rtol=1e-5, atol=1e-4)


def test_clipping_shortens_only_long_gradients_and_has_a_gradient_at_zero() -> None:
    gradients = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]], requires_grad=True)
    result = clipped(gradients, 1.0)
    torch.testing.assert_close(result, torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))
    (found,) = torch.autograd.grad(result.sum(), gradients)
    assert found.isfinite().all()


def test_shrinkage_keeps_signal_and_drops_noise() -> None:
    noise = 0.1 * normal(4, 2000)
    assert float(shrinkage(noise, 0.1).max()) < 0.1
    signal = torch.zeros(4, 2000, dtype=torch.float64)
    signal[:, 0] = 100
    kept = shrinkage(signal + noise, 0.1)
    assert kept.shape == (4, 1)
    assert float(kept.min()) > 0.99


class Flat(nn.Module):
    """Linear classifier with weights of zero, whose gradient is an affine function of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(36, 4)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1))


def linear_world(world: type[World]) -> Any:
    """Return clients whose gradient is affine, so that the posterior is Gaussian."""

    class LinearWorld(world):
        def view_of(self, before: Any, after: Any, local_steps: int = 1) -> Any:
            self.network = Flat()
            state = self.network.state_dict()
            view = super().view_of(state, state, local_steps)
            return dataclasses.replace(view, architecture=Flat().to("meta"))

    return LinearWorld(retained=1, forgotten=1, moved=0.0)


@pytest.mark.parametrize(("space", "sigma"), [("spectrum", 0.003), ("spectrum", 0.1), ("pixels", 0.1)])
def test_map_of_a_linear_model_is_the_posterior_mean(world: type[World], sigma: float, space: Any) -> None:
    clients = linear_world(world)
    view = noisy(clients, sigma)
    attack = DirectDifference(space=space, prior="mean", iterations=150)
    found = attack(view, generator=seeded()).images.double()

    public = Spectrum(view.public.images.double())
    gradient = view.observation.gradient(clients.network)
    parameters = {name: value.double() for name, value in clients.network.state_dict().items()}

    def forward(image: Tensor, label: Tensor) -> Tensor:
        target = nn.functional.one_hot(label[None], 4).double()
        return gradient(parameters, image[None], target)

    # The difference 2 g_before - g_after has the noise of both: sigma^2 (2^2 + 1^2).
    variance = 5 * sigma**2
    mean = public.mean
    waves = torch.stack([public.decode(unit.view(1, 6, 6)) - mean for unit in torch.eye(36).double()])
    for row, label in enumerate(clients.forgotten.labels):
        offset = forward(mean, label)
        system = torch.stack([forward(mean + wave, label) - offset for wave in waves], dim=1)
        residual = view.observation.difference[row].double() - offset
        precision = system.T @ system / variance + torch.eye(36).double()
        z = torch.linalg.solve(precision, system.T @ residual / variance)
        expected = public.decode(z.view(1, 6, 6)).clamp(0, 1)
        torch.testing.assert_close(found[row], expected, atol=0.05, rtol=0)


def test_discrepancy_stops_when_the_residual_is_as_long_as_the_noise(world: type[World]) -> None:
    clients = linear_world(world)
    view = noisy(clients, 0.01)
    dimension = view.observation.gradients_before.shape[1]
    attack = DirectDifference(
        noise="discrepancy", prior="mean", iterations=200, optimizer="adam", learning_rate=0.02
    )
    history = attack(view, generator=seeded()).history["forgotten"]
    assert history[0] > dimension / 2
    assert history[-1] == pytest.approx(dimension / 2, rel=0.2)
    assert history[-1] == history[-50]
    without_stop = attack.model_copy(update={"noise": "map"})(view, generator=seeded())
    assert without_stop.history["forgotten"][-1] != without_stop.history["forgotten"][-50]


def test_discrepancy_keeps_a_start_that_explains_the_observation(world: type[World]) -> None:
    view = noisy(world(), 100.0)
    result = ATTACKS.get("dragdp")(noise="discrepancy", iterations=30)(view, generator=seeded())
    # The residual of a noise of 100 is longer than expected in about half of the draws.
    stayed = (result.images - result.prior).abs().flatten(1).amax(dim=1) < 1e-6
    assert stayed.any()


@pytest.mark.parametrize("noise", ["ignored", "map", "discrepancy"])
@pytest.mark.parametrize("name", NAMES)
def test_every_attack_treats_noise_in_each_way(world: type[World], name: str, noise: Any) -> None:
    view = noisy(world(), 0.05, clip=1.0)
    attack = ATTACKS.get(name)(noise=noise, iterations=3, restarts=1, labels="known")
    result = attack(view, generator=seeded())
    without_noise = name == "fuia"
    assert result.facts[f"noise_{'ignored' if without_noise else noise}"] == 1
    assert result.images.isfinite().all()
    assert (Knowledge.NOISE in attack.knowledge) == (noise != "ignored")
    unaware = attack.model_copy(update={"noise": "ignored"})(view, generator=seeded())
    assert torch.equal(unaware.images, result.images) == (without_noise or noise == "ignored")


def test_treatments_are_the_same_without_noise(world: type[World]) -> None:
    view = world().view
    results = [
        DRAGD(noise=noise, iterations=3)(view, generator=seeded()).images
        for noise in ("ignored", "map", "discrepancy")
    ]
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_total_variation_keeps_its_weight_relative_to_the_distance(world: type[World]) -> None:
    """With negligible noise and a wide prior, the minimum is the one without noise."""
    clients = world(retained=1, moved=0.0)
    settings: dict[str, Any] = {"space": "box", "prior": "mean", "iterations": 60, "total_variation": 0.3}
    plain = DirectDifference(**settings)(clients.view, generator=seeded()).images
    known = dataclasses.replace(clients.view, mechanism=GaussianMechanism(1e-5))
    aware = DirectDifference(**settings)(known, generator=seeded()).images
    torch.testing.assert_close(aware, plain, atol=0.02, rtol=0)


@pytest.mark.parametrize("attack_class", ["dragdp", "direct-difference"])
def test_knowing_the_noise_beats_ignoring_it_and_the_prior(world: type[World], attack_class: str) -> None:
    clients = world(retained=1, moved=1e-4, batches=20)
    view = noisy(clients, 0.05)

    def error(noise: str) -> float:
        attack = ATTACKS.get(attack_class)(noise=noise, space="spectrum", prior="mean", iterations=30)
        images = attack(view, generator=seeded()).images
        return float((images - clients.forgotten.images).square().mean())

    mean = view.public.images.mean(dim=0)
    floor = float((mean - clients.forgotten.images).square().mean())
    assert error("map") < floor < error("ignored")


def test_difference_noise_adds_both_variances(world: type[World]) -> None:
    clients = world(retained=3, forgotten=2)
    setup = DRAGD().make_setup(noisy(clients, 0.1, clip=1.0), generator=seeded())
    noise = setup.difference_noise
    assert noise is not None
    assert noise.sigma == pytest.approx(0.1 * math.sqrt(5**2 + 3**2) / 2)
    assert noise.unknown_scale
    drawn = 5 / 2 * normal(100_000) - 3 / 2 * normal(100_000, seed=1)
    assert float(0.1 * drawn.std()) == pytest.approx(noise.sigma, rel=0.01)
