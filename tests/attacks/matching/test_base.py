"""Properties that all gradient-matching attacks share."""

import dataclasses
import itertools
from typing import Any

import pytest
import torch
from tests.support.attack_views import World, seeded

from palimpsest.attacks import OBJECTIVES, BatchReconstruction, Knowledge, MatchingAttack, ServerView
from palimpsest.attacks.matching.label_inference import INFERRING
from palimpsest.errors import KnowledgeError
from palimpsest.registry import ATTACKS

NAMES = [name for name, attack in ATTACKS if issubclass(attack, MatchingAttack)]
SHORT: dict[str, Any] = {"iterations": 5, "restarts": 2}


def make(name: str, **settings: Any) -> MatchingAttack:
    return ATTACKS.get(name)(**settings)


def run(attack: MatchingAttack, view: ServerView, seed: int = 0) -> BatchReconstruction:
    return attack(view, generator=seeded(seed))


def test_all_matching_attacks_are_registered() -> None:
    assert set(NAMES) == {
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


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("objective", list(OBJECTIVES))
@pytest.mark.parametrize("name", sorted({*NAMES} - {"direct-difference", "giamu", "fuia"}))
def test_objective_is_zero_at_the_truth(world: type[World], name: str, objective: str, channels: int) -> None:
    clients = world(channels=channels)
    values = make(name, objective=objective).check_objective(clients.view, *clients.truth)
    assert values.keys() == {"retained", "forgotten"}
    for stage in values.values():
        assert stage.shape == (3,)
        assert float(stage.max()) < 1e-12


def test_objective_is_not_zero_for_other_images_or_labels(world: type[World]) -> None:
    clients = world()
    retained, forgotten, labels = clients.truth
    wrong = dataclasses.replace(labels, retained=(labels.retained + 1) % 4)
    attack = make("dragd")
    other_labels = attack.check_objective(clients.view, retained, forgotten, wrong)
    other_images = attack.check_objective(clients.view, 1 - retained, forgotten, labels)
    assert float(other_labels["retained"].min()) > 1e-3
    assert float(other_images["retained"].min()) > 1e-3


@pytest.mark.parametrize("prior", ["mean", "nearest", "class", "blurred"])
@pytest.mark.parametrize("labels", ["known", "optimized"])
@pytest.mark.parametrize("name", NAMES)
def test_every_attack_starts_from_every_prior(world: type[World], name: str, labels: str, prior: str) -> None:
    view = world().view
    attack = make(name, labels=labels, prior=prior, iterations=1, restarts=1)
    assert Knowledge.PUBLIC in attack.knowledge
    result = run(attack, view)
    assert result.prior.shape == result.images.shape
    if prior == "mean":
        torch.testing.assert_close(result.prior, view.public.images.mean(0).expand(3, -1, -1, -1))
    assert not len(run(make(name, labels=labels, prior=None, iterations=1, restarts=1), view).prior)


@pytest.mark.parametrize(
    ("name", "labels"),
    [*itertools.product(NAMES, ["known", "optimized"]), *itertools.product(["dragdp", "giamu"], INFERRING)],
)
def test_reconstructions_have_the_documented_shapes_and_facts(
    world: type[World], name: str, labels: str
) -> None:
    clients = world(channels=3, batches=2, retained=2, forgotten=2)
    result = run(make(name, labels=labels, **SHORT), clients.view)
    assert result.images.shape == (4, 3, 6, 6)
    assert result.images.dtype == torch.float32
    assert result.labels.shape == (4,)
    assert result.objectives.shape == (2,)
    assert result.facts[f"labels_{labels}"] == 1
    assert all(len(values) == SHORT["iterations"] + 1 for values in result.history.values())
    for images in (result.images, result.retained):
        assert images.shape[1:] == (3, 6, 6)
        assert not len(images) or (float(images.min()) >= 0 and float(images.max()) <= 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_determines_the_result(world: type[World], name: str) -> None:
    view = world().view
    attack = make(name, **SHORT)
    assert torch.equal(run(attack, view).images, run(attack, view).images)
    # DRAGDP's first restart starts at the mean public image, whatever the seed.
    if name != "dragdp":
        assert not torch.equal(run(attack, view).images, run(attack, view, seed=1).images)


def test_rejects_a_view_without_labels(world: type[World]) -> None:
    view = dataclasses.replace(world().view, labels=None)
    with pytest.raises(KnowledgeError, match="labels inferred"):
        run(make("dragd"), view)
    assert run(make("dragd", labels="inferred", **SHORT), view).images.shape[0] == 3


def test_knowledge_follows_from_the_settings() -> None:
    assert Knowledge.LABELS in make("dragd").knowledge
    assert Knowledge.LABELS not in make("dlg").knowledge
    assert Knowledge.PUBLIC not in make("dragd", noise="ignored").knowledge
    assert Knowledge.PUBLIC not in make("dragd", noise="discrepancy").knowledge
    assert {Knowledge.PUBLIC, Knowledge.NOISE} <= make("dragd").knowledge
    assert Knowledge.PUBLIC in make("dragdp", space="box").knowledge
    assert Knowledge.PUBLIC in make("dragd", space="spectrum").knowledge
    assert all(make(name).knowledge <= ServerView.knowledge for name in NAMES)
