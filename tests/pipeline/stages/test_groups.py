from dataclasses import replace

import torch
from tests.support.flat_oracle import small_images

from palimpsest.attacks import AuditorView, Reconstruction
from palimpsest.config import build_config
from palimpsest.datasets import GroupSet
from palimpsest.oracles import query_all
from palimpsest.pipeline.stages.groups import (
    MOST_GROUPS,
    calibration_view,
    control_of_groups,
    divide_forgotten,
    group_aside,
    soundness_view,
    spread,
)
from palimpsest.pipeline.stages.recovered import Recovered
from palimpsest.pipeline.stages.verification import choose_tau
from palimpsest.proofs import Groups
from palimpsest.runs import Run
from palimpsest.unlearning import Request

REQUEST = Request({0: torch.tensor([5, 6, 7]), 2: torch.tensor([1, 9])}, (torch.arange(0),) * 3)
GROUPED = {"data": {"name": "digits"}, "proofs": {"granularity": "client", "group_size": 2}}


def test_groups_are_stored_with_the_rows_of_their_members(run: Run) -> None:
    assert divide_forgotten(run, build_config({}), REQUEST) is None
    groups = divide_forgotten(run, build_config(GROUPED), REQUEST)
    assert groups is not None
    assert groups.sizes == (3, 2)
    stored = Groups.load(run.folder / "groups.safetensors")
    assert stored.rows.tolist() == [5, 6, 7, 1, 9]
    assert stored.group.tolist() == [0, 0, 0, 1, 1]


def test_views_of_single_proofs_are_unchanged(view: AuditorView) -> None:
    held_out = small_images(10, seed=8)
    assert soundness_view(view, seed=1) is view
    calibration = calibration_view(view, held_out, seed=1)
    assert calibration.auxiliary is held_out
    assert calibration.oracle is view.oracle


def test_the_threshold_is_calibrated_on_groups_of_the_proofs_sizes(view: AuditorView) -> None:
    """The mean of sixteen differences has about a quarter of their spread around the common mean."""
    config, held_out = build_config({}).verification, small_images(400, seed=8)
    grouped = replace(view, group_sizes=(16, 16))
    calibration = calibration_view(grouped, held_out, seed=1)
    assert isinstance(calibration.auxiliary, GroupSet)
    assert len(calibration.auxiliary) == MOST_GROUPS
    assert calibration.auxiliary.pool is held_out
    single, means = (
        choose_tau(config, used.oracle, used.auxiliary)
        for used in (calibration_view(view, held_out, seed=1), calibration)
    )
    assert single / 5 < means < single / 2


def test_the_verifier_s_evidence_is_about_groups_of_the_auxiliary_images(view: AuditorView) -> None:
    evidence = soundness_view(replace(view, group_sizes=(3, 4)), seed=1)
    assert evidence.auxiliary.sizes[:3].tolist() == [3, 4, 3]
    answers = query_all(evidence.oracle, evidence.auxiliary.subset(torch.tensor([0])))
    (expected,) = view.oracle.differences(
        view.auxiliary.images[evidence.auxiliary.members[0, :3]], torch.zeros(3)
    )
    torch.testing.assert_close(answers[0], expected.mean(0))


def test_groups_of_the_control_need_two_and_share_no_image(view: AuditorView) -> None:
    aside, grouped = small_images(20, seed=4), replace(view, group_sizes=(8,))
    groups = group_aside(grouped, aside, seed=1)
    assert groups is not None
    assert groups.sizes.tolist() == [8, 8]
    assert groups.members.unique().numel() == 16
    assert group_aside(replace(view, group_sizes=(11,)), aside, seed=1) is None
    assert group_aside(grouped, None, seed=1) is None


def test_each_image_is_compared_with_the_reconstruction_of_its_group() -> None:
    pool = small_images(6, seed=4)
    groups = GroupSet.of(pool, torch.tensor([[4, 1, -1], [0, 2, 5]]))
    images = torch.rand(2, 1, 2, 3)
    control = control_of_groups(groups, Reconstruction(images, {}, {}))
    assert control.samples.inputs.equal(pool.images[[4, 1, 0, 2, 5]])
    assert control.reconstruction.images.equal(images[[0, 0, 1, 1, 1]])
    recovered = Recovered(Reconstruction(images, {}, {}), {"other": Reconstruction(1 - images, {}, {})})
    by_image = spread(recovered, Groups(torch.arange(3), torch.tensor([1, 0, 1])))
    assert by_image.reconstruction.images.equal(images[[1, 0, 1]])
    assert by_image.others["other"].images.equal(1 - images[[1, 0, 1]])
