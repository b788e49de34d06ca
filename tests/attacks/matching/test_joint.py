import pytest
from tests.support.attack_views import World, seeded

from palimpsest.attacks import Joint


@pytest.mark.parametrize("steps", [1, 3])
def test_objective_is_zero_at_the_truth_after_several_local_steps(world: type[World], steps: int) -> None:
    clients = world(local_steps=steps)
    values = Joint().check_objective(clients.view, *clients.truth)
    assert float(values["forgotten"].max()) < 1e-12


def test_finds_the_forgotten_samples(world: type[World]) -> None:
    clients = world(retained=1, moved=1e-5)
    result = Joint(iterations=150, restarts=2)(clients.view, generator=seeded())
    errors = (result.images - clients.forgotten.images).square().flatten(1).mean(dim=1)
    assert float(errors.max()) < 1e-3
    assert result.retained.shape == clients.retained.images.shape
