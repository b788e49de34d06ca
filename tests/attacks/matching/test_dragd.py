from typing import Any

import pytest
import torch
from tests.support.attack_views import World, seeded

from palimpsest.attacks import DRAGD, DRAGDP, Descent, DirectDifference, MatchingAttack, make_coordinates
from palimpsest.attacks.matching.search import Part, SearchResult


def error(attack: MatchingAttack, clients: World) -> float:
    images = attack(clients.view, generator=seeded()).images
    return float((images - clients.forgotten.images).square().mean())


@pytest.mark.parametrize("steps", [1, 3])
def test_objective_is_zero_at_the_truth_after_several_local_steps(world: type[World], steps: int) -> None:
    clients = world(local_steps=steps)
    for stage in DRAGD().check_objective(clients.view, *clients.truth).values():
        assert float(stage.max()) < 1e-12


@pytest.mark.parametrize("attack_class", [DRAGD, DRAGDP])
def test_finds_the_forgotten_samples(world: type[World], attack_class: type[DRAGD]) -> None:
    clients = world(retained=1, moved=1e-5)
    result = attack_class(iterations=150, restarts=2)(clients.view, generator=seeded())
    errors = (result.images - clients.forgotten.images).square().flatten(1).mean(dim=1)
    assert float(errors.max()) < 1e-3


def test_stage_one_halves_the_error(world: type[World]) -> None:
    clients = world(retained=2, moved=0.05)
    settings = {"iterations": 150, "restarts": 2}
    assert error(DRAGD(**settings), clients) < error(DirectDifference(**settings), clients) / 2


def test_the_residual_helps_if_stage_one_is_unfinished(world: type[World]) -> None:
    clients = world(retained=3, moved=0.001)
    with_residual, without_residual = (
        error(DRAGD(iterations=25, residual=residual), clients) for residual in (True, False)
    )
    assert with_residual < without_residual


def test_dragd_starts_from_noise_and_dragdp_from_public_images(world: type[World]) -> None:
    view = world().view
    assert not len(DRAGD(iterations=1)(view, generator=seeded()).prior)
    prior = DRAGDP(iterations=1)(view, generator=seeded()).prior
    torch.testing.assert_close(prior, view.public.images.mean(0).expand(3, -1, -1, -1))


def test_dragdp_is_dragd_with_a_prior_in_other_coordinates(world: type[World]) -> None:
    view = world().view
    plain = DRAGD(prior="mean", space="spectrum", iterations=3)(view, generator=seeded())
    assert torch.equal(plain.images, DRAGDP(iterations=3)(view, generator=seeded()).images)


def test_stage_one_of_the_paper_starts_from_noise(world: type[World]) -> None:
    view, starts = world().view, dict[str, bool]()

    class Watched(Descent):
        """A search that notes which parts start from images."""

        def find(self, part: Part, *arguments: Any, **named: Any) -> SearchResult:
            result = super().find(part, *arguments, **named)
            starts[part] = result.start is not None
            return result

    for stage_one in (True, False):
        attack = DRAGDP(prior_stage_one=stage_one, iterations=1)
        setup = attack.make_setup(view, generator=seeded())
        attack.recover(
            Watched(
                setup,
                "euclidean",
                seeded(),
                optimizer=attack.make_optimizer(),
                coordinates=make_coordinates("box", setup.public),
                smoothness=0.0,
                restarts=1,
                prior="mean",
            )
        )
        assert starts == {"retained": stage_one, "forgotten": True}
