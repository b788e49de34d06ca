"""What holds for every attack from the server."""

import dataclasses
import itertools
from typing import Any

import pytest
import torch
from tests.support.forgotten import Forgotten
from tests.support.wall_probe import WallProbe

from palimpsest.attacks import (
    OBJECTIVES,
    Descent,
    Knowledge,
    MatchingAttack,
    ServerView,
    Term,
    make_coordinates,
)
from palimpsest.attacks.matching.label_inference import INFERRING
from palimpsest.errors import KnowledgeError
from palimpsest.gradients import BatchGradient
from palimpsest.registry import ATTACKS

NAMES = [name for name, attack in ATTACKS if issubclass(attack, MatchingAttack)]
SHORT: dict[str, Any] = {"iterations": 5, "restarts": 2}


def attack(name: str, **settings: Any) -> MatchingAttack:
    return ATTACKS.get(name)(**settings)


def run(one: MatchingAttack, view: ServerView, seed: int = 0) -> Any:
    return one(view, generator=torch.Generator().manual_seed(seed))


def test_all_are_here() -> None:
    wanted = {
        "dragd",
        "dragdp",
        "dlg",
        "idlg",
        "inverting-gradients",
        "direct-difference",
        "joint",
        "giamu",
        "fuia",
    }
    assert set(NAMES) == wanted


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("objective", list(OBJECTIVES))
@pytest.mark.parametrize("name", sorted({*NAMES} - {"direct-difference", "giamu", "fuia"}))
def test_the_truth_has_objective_zero(world: Any, name: str, objective: str, channels: int) -> None:
    here = world(channels=channels)
    values = attack(name, objective=objective).rehearse(here.view, *here.truth)
    assert values.keys() == {"remaining", "forgotten"}
    for stage in values.values():
        assert stage.shape == (3,)
        assert float(stage.max()) < 1e-12


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", ["dragd", "joint", "dlg"])
def test_the_truth_has_objective_zero_after_several_local_steps(world: Any, name: str, steps: int) -> None:
    here = world(local_steps=steps)
    for stage in attack(name).rehearse(here.view, *here.truth).values():
        assert float(stage.max()) < 1e-12


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["direct-difference", "giamu"])
def test_the_direct_difference_is_exact_at_one_point_and_only_there(
    world: Any, name: str, channels: int
) -> None:
    here, moved = world(channels=channels, moved=0.0), world(channels=channels, moved=0.05)
    assert float(attack(name).rehearse(here.view, *here.truth)["forgotten"].max()) < 1e-11
    assert float(attack(name).rehearse(moved.view, *moved.truth)["forgotten"].min()) > 1e-6


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("one", [attack("giamu", unlearning="approximate"), attack("fuia")])
def test_the_parameters_change_is_exact_after_one_step_of_ascent(
    world: Any, one: MatchingAttack, channels: int
) -> None:
    here = world(channels=channels, batches=1, forgotten=2)
    before = here.view.observation.before
    targets = torch.nn.functional.one_hot(here.forgotten.labels, 4).float()
    step = BatchGradient(here.network)(before, here.forgotten.images, targets)
    pieces = step.split([value.numel() for value in before.values()])
    after = {
        name: value + 0.5 * piece.view_as(value)
        for (name, value), piece in zip(before.items(), pieces, strict=True)
    }
    view = here.seen(before, after)
    assert float(one.rehearse(view, *here.truth)["forgotten"].max()) < 1e-10
    assert float(one.rehearse(here.view, *here.truth)["forgotten"].max()) > 1e-3


def test_a_wrong_model_or_label_does_not_have_objective_zero(world: Any) -> None:
    here = world()
    stay, leave, labels = here.truth
    wrong = dataclasses.replace(labels, remaining=(labels.remaining + 1) % 4)
    assert float(attack("dragd").rehearse(here.view, stay, leave, wrong)["remaining"].min()) > 1e-3
    assert float(attack("dragd").rehearse(here.view, 1 - stay, leave, labels)["remaining"].min()) > 1e-3


@pytest.mark.parametrize(
    ("name", "labels"),
    [*itertools.product(NAMES, ["known", "optimised"]), *itertools.product(["dragdp", "giamu"], INFERRING)],
)
def test_gives_the_promised_shapes_and_says_how_labels_were_had(world: Any, name: str, labels: str) -> None:
    here = world(channels=3, batches=2, remaining=2, forgotten=2)
    found = run(attack(name, labels=labels, **SHORT), here.view)
    assert found.images.shape == (4, 3, 6, 6)
    assert found.images.dtype == torch.float32
    assert found.labels.shape == (4,)
    assert found.objectives.shape == (2,)
    assert found.facts[f"labels_{labels}"] == 1
    for images in (found.images, found.remaining):
        assert images.shape[1:] == (3, 6, 6)
        assert not len(images) or (float(images.min()) >= 0 and float(images.max()) <= 1)


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_gives_one_answer(world: Any, name: str) -> None:
    view = world().view
    one = attack(name, **SHORT)
    assert torch.equal(run(one, view).images, run(one, view).images)
    if name != "dragdp":
        assert not torch.equal(run(one, view).images, run(one, view, seed=1).images)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "adam-hard-sign", "adam-soft-sign"])
def test_restarts_side_by_side_equal_one_after_another(world: Any, optimizer: Any) -> None:
    view = world(batches=2).view
    one = attack("dragd")
    scene = one.scene(view, generator=torch.Generator())
    term = Term(scene.after, scene.stayed, 2)

    def search(restarts: int) -> Descent:
        return Descent(
            scene,
            "euclidean",
            torch.Generator().manual_seed(0),
            optimizer=attack("dragd", iterations=12, optimizer=optimizer).descent(),
            coordinates=make_coordinates("box", scene.public),
            smoothness=0.0,
            restarts=restarts,
        )

    together = search(3).find("remaining", [term])
    noise = torch.rand(6, 2, 1, 6, 6, generator=torch.Generator().manual_seed(0)).unflatten(0, (2, 3))
    alone = [search(1).find("remaining", [term], start=noise[:, restart].double()) for restart in range(3)]
    best = torch.stack([found.minimum.values for found in alone]).min(dim=0)
    torch.testing.assert_close(together.minimum.values, best.values, rtol=1e-6, atol=1e-12)
    for batch, restart in enumerate(best.indices):
        torch.testing.assert_close(together.images[batch], alone[restart].images[batch], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["dragd", "dragdp", "joint", "direct-difference"])
def test_finds_what_was_forgotten(world: Any, name: str) -> None:
    here = world(remaining=1, moved=1e-5)
    found = run(attack(name, iterations=150, restarts=2), here.view)
    apart = (found.images - here.forgotten.images).square().flatten(1).mean(dim=1)
    assert float(apart.max()) < 1e-3


def test_stage_one_helps(world: Any) -> None:
    here = world(remaining=2, moved=0.05)

    def error(name: str) -> float:
        found = run(attack(name, iterations=150, restarts=2), here.view)
        return float((found.images - here.forgotten.images).square().mean())

    assert error("dragd") < error("direct-difference") / 2


def test_counting_the_residual_helps_where_stage_one_is_unfinished(world: Any) -> None:
    here = world(remaining=3, moved=0.001)

    def error(residual: bool) -> float:
        found = run(attack("dragd", iterations=25, residual=residual), here.view)
        return float((found.images - here.forgotten.images).square().mean())

    assert error(True) < error(False)


def test_no_truth_can_be_reached_from_the_view(world: Any) -> None:
    here = world()
    probe = WallProbe(Forgotten(torch.cat([here.remaining.images, here.forgotten.images])))
    probe.look("view", here.view)
    assert probe.searched > 10
    assert not probe.leaks
    probe.look("client", here)
    assert probe.leaks


def test_labels_that_are_not_known_are_refused(world: Any) -> None:
    view = dataclasses.replace(world().view, labels=None)
    with pytest.raises(KnowledgeError, match="labels inferred"):
        run(attack("dragd"), view)
    assert run(attack("dragd", labels="inferred", **SHORT), view).images.shape[0] == 3


def test_knowledge_follows_from_the_settings() -> None:
    assert Knowledge.LABELS in attack("dragd").knowledge
    assert Knowledge.LABELS not in attack("dlg").knowledge
    assert Knowledge.PUBLIC not in attack("dragd").knowledge
    assert Knowledge.PUBLIC in attack("dragdp", space="box").knowledge
    assert Knowledge.PUBLIC in attack("dragd", space="spectrum").knowledge
    assert all(attack(name).knowledge <= ServerView.knowledge for name in NAMES)
