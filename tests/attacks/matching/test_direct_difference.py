import pytest
from tests.support.attack_views import World, seeded

from palimpsest.attacks import DirectDifference


@pytest.mark.parametrize("channels", [1, 3])
def test_is_exact_only_for_unchanged_parameters(world: type[World], channels: int) -> None:
    same, moved = world(channels=channels, moved=0.0), world(channels=channels, moved=0.05)
    assert float(DirectDifference().check_objective(same.view, *same.truth)["forgotten"].max()) < 1e-11
    assert float(DirectDifference().check_objective(moved.view, *moved.truth)["forgotten"].min()) > 1e-6


def test_finds_the_forgotten_samples(world: type[World]) -> None:
    clients = world(retained=1, moved=1e-5)
    result = DirectDifference(iterations=150, restarts=2)(clients.view, generator=seeded())
    errors = (result.images - clients.forgotten.images).square().flatten(1).mean(dim=1)
    assert float(errors.max()) < 1e-3
    assert not len(result.retained)
