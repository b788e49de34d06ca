import dataclasses
from typing import Any

import pytest
import torch
from tests.support.attack_views import World, seeded

from palimpsest.attacks import DRAGD, Batch, Descent, ObjectiveCheck, Term, make_coordinates
from palimpsest.attacks.matching.setup import ProblemSetup
from palimpsest.errors import DivergenceError


def setup_of(clients: World) -> ProblemSetup:
    return DRAGD().make_setup(clients.view, generator=seeded())


def descent(setup: ProblemSetup, *, restarts: int = 1, **settings: Any) -> Descent:
    return Descent(
        setup,
        "euclidean",
        seeded(),
        optimizer=DRAGD(**{"iterations": 12} | settings).make_optimizer(),
        coordinates=make_coordinates("box", setup.public),
        smoothness=0.0,
        restarts=restarts,
    )


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "adam-hard-sign", "adam-soft-sign"])
def test_restarts_equal_sequential_searches(world: type[World], optimizer: str) -> None:
    setup = setup_of(world(batches=2))
    term = Term(setup.after, setup.gradients_after, 2)
    batched = descent(setup, restarts=3, optimizer=optimizer).find("retained", [term])
    noise = torch.rand(6, 2, 1, 6, 6, generator=seeded()).unflatten(0, (2, 3)).double()
    sequential = [
        descent(setup, optimizer=optimizer).find("retained", [term], start=noise[:, restart])
        for restart in range(3)
    ]
    best = torch.stack([result.minimum.values for result in sequential]).min(dim=0)
    torch.testing.assert_close(batched.minimum.values, best.values, rtol=1e-6, atol=1e-12)
    for batch, restart in enumerate(best.indices):
        expected = sequential[restart].images[batch]
        torch.testing.assert_close(batched.images[batch], expected, atol=1e-5, rtol=0)


def test_part_selects_the_samples_and_their_targets(world: type[World]) -> None:
    setup = setup_of(world(retained=2, forgotten=1))
    assert setup.targets is not None
    terms = {
        "retained": Term(setup.after, setup.gradients_after, 2),
        "forgotten": Term(setup.before, setup.difference, 1),
        "batch": Term(setup.before, setup.gradients_before, 3),
    }
    rows = {"retained": slice(0, 2), "forgotten": slice(2, 3), "batch": slice(0, 3)}
    for part, term in terms.items():
        result = descent(setup, iterations=1).find(part, [term])
        assert torch.equal(result.targets, setup.targets[:, rows[part]])
        assert torch.equal(result.labels, setup.targets[:, rows[part]].argmax(-1).flatten())


def test_rejects_a_batch_without_a_finite_start(world: type[World]) -> None:
    setup = setup_of(world())
    gradients = setup.gradients_after.clone()
    gradients[1] = 0
    broken = dataclasses.replace(setup, gradients_after=gradients)
    term = Term(broken.after, broken.gradients_after, 2)
    with pytest.raises(DivergenceError, match="retained samples of batch 1 is inf at every start"):
        descent(broken).find("retained", [term])


def test_check_returns_the_truth_with_its_objective(world: type[World]) -> None:
    clients = world()
    setup = setup_of(clients)
    retained, forgotten, _ = clients.truth
    assert setup.targets is not None
    truth = Batch(torch.cat([retained, forgotten], 1), setup.targets)
    check = ObjectiveCheck(
        setup, "euclidean", seeded(), truth=truth, coordinates=make_coordinates("box", setup.public)
    )
    result = check.find("retained", [Term(setup.after, setup.gradients_after, 2)])
    assert torch.equal(result.images, retained.double())
    assert float(result.minimum.values.max()) < 1e-12
    wrong = check.find("retained", [Term(setup.before, setup.gradients_after, 2)])
    assert float(wrong.minimum.values.min()) > 1e-8


def test_rows_select_samples_of_each_batch(world: type[World]) -> None:
    setup = setup_of(world())
    whole = descent(setup, iterations=1).find("batch", [Term(setup.before, setup.gradients_before, 3)])
    part = whole.rows(2, 3)
    assert torch.equal(part.images, whole.images[:, 2:])
    assert torch.equal(part.batch.targets, whole.targets[:, 2:])
