import pytest
import torch
from tests.support.attack_views import World, seeded

from palimpsest.attacks import FUIA, GIAMU
from palimpsest.gradients import BatchGradient


@pytest.mark.parametrize("channels", [1, 3])
def test_exact_unlearning_needs_unchanged_parameters(world: type[World], channels: int) -> None:
    same, moved = world(channels=channels, moved=0.0), world(channels=channels, moved=0.05)
    assert float(GIAMU().check_objective(same.view, *same.truth)["forgotten"].max()) < 1e-11
    assert float(GIAMU().check_objective(moved.view, *moved.truth)["forgotten"].min()) > 1e-6


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("attack", [GIAMU(unlearning="approximate"), FUIA()])
def test_parameter_change_is_exact_after_one_step_of_ascent(
    world: type[World], attack: GIAMU, channels: int
) -> None:
    clients = world(channels=channels, batches=1, forgotten=2)
    before = clients.view.observation.before
    targets = torch.nn.functional.one_hot(clients.forgotten.labels, 4).float()
    step = BatchGradient(clients.network)(before, clients.forgotten.images, targets)
    parts = step.split([value.numel() for value in before.values()])
    after = {
        name: value + 0.5 * part.view_as(value)
        for (name, value), part in zip(before.items(), parts, strict=True)
    }
    view = clients.view_of(before, after)
    assert float(attack.check_objective(view, *clients.truth)["forgotten"].max()) < 1e-10
    assert float(attack.check_objective(clients.view, *clients.truth)["forgotten"].max()) > 1e-3


def test_finds_the_direction_of_a_gradient(world: type[World]) -> None:
    """Descent along the signs ends far below the objective of the start."""
    clients = world(retained=1, moved=0.0)
    result = GIAMU(iterations=200, restarts=2)(clients.view, generator=seeded())
    history = result.history["forgotten"]
    assert history[-1] < history[0] / 4
