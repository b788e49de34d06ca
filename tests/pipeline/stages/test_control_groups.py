from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.support.flat_oracle import FlatOracle, small_images
from torch import Generator, Tensor

from palimpsest.attacks import AuditorView, Reconstruction, TrainedAttack
from palimpsest.config import AuditConfig, build_config
from palimpsest.datasets import FederatedData, ImageSet
from palimpsest.pipeline.stages.control_groups import (
    MOST,
    NEVER_TRAINED,
    RETAINED,
    ControlSamples,
    attack_control_groups,
    choose_control_groups,
    choose_strangers,
)
from palimpsest.pipeline.stages.recovered import Inverter
from palimpsest.runs import Run
from palimpsest.unlearning import Request

CONFIG = build_config({"data": {"name": "digits"}})
EMPTY = Reconstruction(torch.zeros(0, 1), {}, {})
GROUPS = {
    RETAINED: ControlSamples(small_images(30, seed=4), True),
    NEVER_TRAINED: ControlSamples(small_images(9, seed=5), False),
}


class Copier(TrainedAttack):
    """An attack whose reconstruction is the start of the proof, and which remembers the proofs."""

    knowledge = AuditorView.knowledge
    state = Reconstruction

    def learn(self, view: AuditorView[Any], *, generator: Generator) -> Reconstruction:
        raise AssertionError("control groups train nothing")

    def invert(self, learned: Reconstruction, proofs: Tensor, *, device: str) -> Reconstruction:
        return Reconstruction(proofs[:, :6].view(-1, 1, 2, 3).clone(), {"loss": [1.0]}, {"queries": 1.0})


@pytest.fixture
def run(tmp_path: Path):
    with Run.open(tmp_path / "run", CONFIG, console=Console(quiet=True)) as opened:
        yield opened


def view(memory_budget: int = 2**30) -> AuditorView:
    return AuditorView(
        torch.zeros(2, 300), FlatOracle(), small_images(40, seed=3), "cpu", memory_budget=memory_budget
    )


def request_of(data: FederatedData, forgotten: Tensor) -> Request:
    others = torch.arange(len(data.train))
    return Request({0: forgotten}, (others[~torch.isin(others, forgotten)],))


def rows_in(samples: ImageSet, pool: ImageSet) -> list[int]:
    """The row in a pool of each sample."""
    equal = (samples.images[:, None] == pool.images[None]).flatten(2).all(dim=2)
    return equal.int().argmax(dim=1)[equal.any(dim=1)].tolist()


def test_groups_are_retained_and_held_out_samples(data: FederatedData) -> None:
    forgotten = torch.arange(12)
    groups = choose_control_groups(data, request_of(data, forgotten), seed=1)
    assert list(groups) == [RETAINED, NEVER_TRAINED]
    retained, never = (groups[name].samples for name in groups)
    assert len(set(rows_in(retained, data.train))) == len(set(rows_in(never, data.held_out))) == 12
    assert min(rows_in(retained, data.train)) >= 12
    for samples in (data.train.subset(forgotten), data.auxiliary):
        assert not rows_in(retained, samples) + rows_in(never, samples)


def test_groups_have_the_classes_of_the_forgotten_samples(data: FederatedData) -> None:
    forgotten = torch.tensor([0, 3, 6, 9, 12, 15, 1, 4])
    groups = choose_control_groups(data, request_of(data, forgotten), seed=1)
    for group in groups.values():
        assert group.same_classes
        assert group.samples.labels.bincount().tolist() == [6, 2]


def test_without_samples_of_the_classes_a_group_has_others(data: FederatedData) -> None:
    forgotten = (data.train.labels == 2).nonzero().flatten()
    groups = choose_control_groups(data, request_of(data, forgotten), seed=1)
    assert not groups[RETAINED].same_classes
    assert len(groups[RETAINED].samples) == 25
    assert set(groups[RETAINED].samples.labels.tolist()) == {0, 1}
    assert groups[NEVER_TRAINED].same_classes
    assert groups[NEVER_TRAINED].samples.labels.tolist() == [2] * 10


def test_groups_are_limited_and_depend_on_the_seed(data: FederatedData) -> None:
    request = request_of(data, torch.arange(40))
    limited = choose_control_groups(data, request, most=6, seed=1)
    assert [len(group.samples) for group in limited.values()] == [6, 6]
    assert MOST == 200
    again, other = (
        choose_control_groups(data, request, most=6, seed=1),
        choose_control_groups(data, request, most=6, seed=2),
    )
    assert limited[RETAINED].samples.fingerprint == again[RETAINED].samples.fingerprint
    assert limited[RETAINED].samples.fingerprint != other[RETAINED].samples.fingerprint


def test_a_group_of_fewer_than_four_is_absent(data: FederatedData) -> None:
    few = replace(data, held_out=data.held_out.subset(torch.arange(3)))
    assert list(choose_control_groups(few, request_of(data, torch.arange(12)), seed=1)) == [RETAINED]
    assert choose_control_groups(data, request_of(data, torch.arange(3)), seed=1) == {}


def test_the_attack_gets_the_gradient_differences_alone(run: Run) -> None:
    attacked = attack_control_groups(run, CONFIG, Inverter(Copier(), EMPTY, "cpu"), view(), GROUPS, key=())
    assert list(run.seconds()) == ["controls-retained", "controls-never-trained"]
    for name, group in attacked.items():
        samples = GROUPS[name].samples
        (answers,) = FlatOracle().differences(samples.images, samples.labels)
        assert torch.equal(group.images.flatten(1), answers[:, :6])
        assert torch.equal(group.samples.images, samples.images)
        assert group.same_classes == GROUPS[name].same_classes


def test_finished_groups_are_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    inverter = Inverter(Copier(), EMPTY, "cpu")
    first = attack_control_groups(run, CONFIG, inverter, view(), GROUPS, key=(1,))
    monkeypatch.setattr(Copier, "invert", None)
    again = attack_control_groups(run, CONFIG, inverter, view(), GROUPS, key=(1,))
    assert torch.equal(again[RETAINED].images, first[RETAINED].images)
    with pytest.raises(TypeError):
        attack_control_groups(run, CONFIG, inverter, view(), GROUPS, key=(2,))


def test_groups_are_defended_like_the_proofs(run: Run) -> None:
    config: AuditConfig = CONFIG.model_copy(
        update={"defenses": build_config({"data": {"name": "digits"}, "defenses": ["sign"]}).defenses}
    )
    attacked = attack_control_groups(run, config, Inverter(Copier(), EMPTY, "cpu"), view(), GROUPS, key=())
    assert set(attacked[RETAINED].images.unique().tolist()) <= {-1.0, 0.0, 1.0}


def test_groups_fit_into_the_memory_budget(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    inverter = Inverter(Copier(), EMPTY, "cpu")
    # A quarter of the budget holds eight vectors of 300 floats.
    small = attack_control_groups(run, CONFIG, inverter, view(4 * 8 * 1200), GROUPS, key=())
    assert [len(group.images) for group in small.values()] == [8, 8]
    assert attack_control_groups(run, CONFIG, inverter, view(4 * 3 * 1200), GROUPS, key=()) == {}
    monkeypatch.setattr(Copier, "control_group_size", 5)
    slow = attack_control_groups(run, CONFIG, inverter, view(), GROUPS, key=())
    assert [len(group.images) for group in slow.values()] == [5, 5]


def test_an_attack_that_is_not_trained_has_no_groups(run: Run) -> None:
    assert attack_control_groups(run, CONFIG, None, view(), GROUPS, key=()) == {}
    assert run.seconds() == {}


def test_strangers_of_a_linkage_have_the_classes_of_the_forgotten_samples(
    data: FederatedData,
) -> None:
    forgotten = (data.train.labels == 1).nonzero().flatten()
    strangers = choose_strangers(data, request_of(data, forgotten), seed=1)
    assert strangers.same_classes
    assert set(strangers.samples.labels.tolist()) == {1}
    missing = replace(data, held_out=data.held_out.subset((data.held_out.labels != 1).nonzero().flatten()))
    anyone = choose_strangers(missing, request_of(data, forgotten), seed=1)
    assert not anyone.same_classes
    assert len(anyone.samples) == len(missing.held_out)
