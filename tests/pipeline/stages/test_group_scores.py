from dataclasses import replace

import torch
from tests.support.flat_oracle import small_images

from palimpsest.attacks import AuditorView
from palimpsest.config import build_config
from palimpsest.pipeline.stages.control_groups import ControlSamples
from palimpsest.pipeline.stages.group_scores import score_groups
from palimpsest.proofs import Groups
from palimpsest.runs import Run

SIZE = 4


def test_links_members_and_scores_the_true_mean_images(view: AuditorView, run: Run) -> None:
    config = build_config({"data": {"name": "digits"}, "scoring": {"bootstrap": 10}})
    forgotten = small_images(60, seed=2)
    # Members that are not neighbors, so that mixed-up candidates would be noticed.
    groups = Groups(torch.arange(60), torch.arange(60) % 15)
    proofs = torch.stack([view.proofs[groups.members(number)].mean(0) for number in range(15)])
    grouped = replace(view, proofs=proofs, group_sizes=groups.sizes)
    found = score_groups(
        run, config, grouped, forgotten, groups, ControlSamples(small_images(50, seed=7), True), key=()
    )
    assert found.linkage is not None
    assert found.linkage.auc.low > 0.6
    assert found.linkage.auc_other_groups is not None
    assert found.linkage.auc_other_groups.low > 0.6
    assert found.linkage.strangers == 50
    means = torch.stack([forgotten.images[row % 15 :: 15].mean(0) for row in range(60)])
    assert found.group_mean is not None
    torch.testing.assert_close(
        found.group_mean.mse.float(), (means - forgotten.images).square().flatten(1).mean(1)
    )
    assert list(run.seconds()) == ["group-linkage", "scores-group-linkage", "scores-group-mean"]
