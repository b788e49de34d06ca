"""Scoring stages of aggregated proofs: the linkage attack on groups, and the groups' true mean images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from palimpsest.attacks import AuditorView
from palimpsest.attacks.group_linkage import GroupLinkage, link_groups
from palimpsest.config import AttackingConfig
from palimpsest.datasets import ImageSet
from palimpsest.metrics import GroupLinkageScores, Measured, score_group_linkage
from palimpsest.pipeline.stages.auditor import defended_oracle
from palimpsest.pipeline.stages.control_groups import ControlSamples
from palimpsest.pipeline.stages.scoring import measure_images
from palimpsest.proofs import Groups
from palimpsest.randomness import make_generator
from palimpsest.runs import Run


@dataclass(frozen=True)
class Aggregation:
    """The groups of samples that share a proof, and their scores.

    Args:
        groups: The groups of the forgotten samples.
        linkage: Scores of the linkage attack on groups; None if no proof was attacked.
        group_mean: Scores of each group's true mean image as the reconstruction of its members, which no attacker has;
            None if no proof was attacked.
        same_classes: Whether the linkage attack's strangers have the classes of the forgotten samples; None if no proof
            was attacked.
    """

    groups: Groups
    linkage: GroupLinkageScores | None = None
    group_mean: Measured | None = None
    same_classes: bool | None = None


def score_groups(
    run: Run,
    config: AttackingConfig,
    view: AuditorView[Any],
    forgotten: ImageSet,
    groups: Groups,
    strangers: ControlSamples,
    *,
    key: Sequence[object],
) -> Aggregation:
    """Run the linkage attack on groups, and score it and the groups' true mean images.

    Args:
        run: The run that stores the stages.
        config: Defenses, scoring and seed.
        view: The auditor's view, whose oracle answers about single images.
        forgotten: The forgotten images.
        groups: Their groups.
        strangers: Images of the same kind that were never trained on: candidates that are in no group.
        key: Everything that the oracle's answers depend on.

    Returns:
        The scores by group.
    """
    # The order of the candidates must not tell the attack which of them were forgotten.
    count = len(forgotten)
    others = strangers.samples
    order = torch.randperm(count + len(others), generator=make_generator(config.seed, "candidates"))
    candidates = replace(
        forgotten,
        images=torch.cat([forgotten.images, others.images])[order],
        labels=torch.cat([forgotten.labels, others.labels])[order],
    )
    linkage = link_to_groups(run, config, view, candidates, key=key)
    scores = linkage.scores[:, order.argsort()]
    scored = run.stage(
        "scores-group-linkage",
        GroupLinkageScores,
        lambda _: score_group_linkage(
            scores, groups.group, statistic=linkage.statistic, threshold=linkage.threshold
        ),
        key=(linkage, groups),
    )
    means = torch.stack([forgotten.images[groups.members(row)].mean(0) for row in range(len(groups.sizes))])
    group_mean = measure_images(run, config, "scores-group-mean", means[groups.group], forgotten, batch=1)
    return Aggregation(groups, scored, group_mean, strangers.same_classes)


def link_to_groups(
    run: Run, config: AttackingConfig, view: AuditorView[Any], candidates: ImageSet, *, key: Sequence[object]
) -> GroupLinkage:
    """Run the stage `group-linkage`: test which candidates are in the group of each proof.

    Args:
        run: The run that stores the stage.
        config: Defenses and seed.
        view: The auditor's view, whose oracle answers about single images.
        candidates: Images that may include members.
        key: Everything that the oracle's answers depend on.

    Returns:
        A score for each pair of a proof and a candidate.
    """
    return run.stage(
        "group-linkage",
        GroupLinkage,
        lambda scratch: link_groups(
            replace(view, scratch=scratch),
            candidates,
            defended_oracle(config, view, "linkage").defend if config.defenses else None,
            generator=make_generator(config.seed, "linkage"),
        ),
        key=(
            *key,
            view.proofs,
            view.group_sizes,
            candidates,
            view.auxiliary,
            config.defenses,
            config.seed,
            view.device,
        ),
    )
