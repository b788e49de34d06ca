"""Groups of samples that share a proof: those of the forgotten samples, and the auditor's own."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from palimpsest.attacks import AuditorView, Reconstruction
from palimpsest.config import AuditConfig
from palimpsest.datasets import GroupSet, ImageSet, draw_groups, split_groups
from palimpsest.oracles import AggregatedOracle, Oracle
from palimpsest.pipeline.stages.control import Control
from palimpsest.pipeline.stages.recovered import Recovered
from palimpsest.proofs import Groups, make_groups
from palimpsest.randomness import make_generator
from palimpsest.runs import Run
from palimpsest.unlearning import Request

MOST_GROUPS = 384
"""Largest number of the auditor's own groups that calibrate or test a verifier."""
FEWEST_CONTROLS = 2
"""Fewest groups of kept-aside images for a positive control."""


def divide_forgotten(run: Run, config: AuditConfig, request: Request) -> Groups | None:
    """Run the stage `groups`: divide the forgotten samples into the groups that share a proof.

    Args:
        run: The run that stores the stage.
        config: Granularity, size of a group and seed.
        request: The samples to forget, by client.

    Returns:
        The groups, or None if every sample has a proof of its own.
    """
    settings = config.proofs
    if not settings.aggregated:
        return None
    return run.stage(
        "groups",
        Groups,
        lambda _: groups_of(config, request),
        key=(settings, request.rows, request.owner, config.seed),
    )


def groups_of(config: AuditConfig, request: Request) -> Groups:
    """Divide the forgotten samples as configured, one for each proof without aggregation.

    Args:
        config: Granularity, size of a group and seed.
        request: The samples to forget, by client.
    """
    return make_groups(
        request.rows,
        request.owner,
        granularity=config.proofs.granularity,
        group_size=config.proofs.group_size,
        generator=make_generator(config.seed, "groups"),
    )


def soundness_view(view: AuditorView[Any], *, seed: int) -> AuditorView[Any]:
    """Return the view of a verifier: for aggregated proofs, its evidence is about groups of the auxiliary images.

    Args:
        view: The auditor's view, whose oracle answers about single images.
        seed: The run's seed, which draws the groups.

    Returns:
        The view with at most as many groups as images. Without aggregation, the same view.
    """
    return _of_groups(view, seed=seed, purpose="soundness")


def calibration_view(view: AuditorView[Any], held_out: ImageSet, *, seed: int) -> AuditorView[Any]:
    """Return a view whose samples calibrate the verifier's threshold: held-out images, or groups of them.

    Args:
        view: The auditor's view, whose oracle answers about single images.
        held_out: Images that the models were never trained on.
        seed: The run's seed, which draws the groups.
    """
    return _of_groups(replace(view, auxiliary=held_out), seed=seed, purpose="calibration")


def _of_groups(view: AuditorView[Any], *, seed: int, purpose: str) -> AuditorView[Any]:
    """Replace the auxiliary images by groups of them, and the oracle by one that answers about groups."""
    if not view.group_sizes:
        return view
    groups = draw_groups(
        view.auxiliary,
        view.group_sizes,
        min(MOST_GROUPS, len(view.auxiliary)),
        generator=make_generator(seed, "auditor's groups", purpose),
    )
    return replace(view, oracle=aggregated(view, view.auxiliary), auxiliary=groups)


def aggregated(view: AuditorView[Any], pool: ImageSet) -> Oracle:
    """Return an oracle that answers about groups of a pool's images.

    Args:
        view: The auditor's view, whose oracle answers about single images.
        pool: The images.
    """
    return AggregatedOracle(view.oracle, pool, memory_budget=view.memory_budget)


def group_aside(view: AuditorView[Any], aside: ImageSet | None, *, seed: int) -> GroupSet | None:
    """Divide the kept-aside images into groups for the positive control.

    Args:
        view: The auditor's view, with the groups' sizes.
        aside: The images that the attack was not trained on; None if there are none.
        seed: The run's seed, which divides the images.

    Returns:
        The groups, each image in at most one of them; None if there would be fewer than two.
    """
    if aside is None:
        return None
    groups = split_groups(aside, view.group_sizes, generator=make_generator(seed, "groups kept aside"))
    return groups if len(groups) >= FEWEST_CONTROLS else None


def control_of_groups(groups: GroupSet, reconstruction: Reconstruction) -> Control:
    """Compare each kept-aside image with the reconstruction of its group.

    Args:
        groups: The groups of kept-aside images.
        reconstruction: One image for each group.
    """
    rows = [rows[:size] for rows, size in zip(groups.members, groups.sizes, strict=True)]
    group = torch.arange(len(groups)).repeat_interleave(groups.sizes)
    return Control(groups.pool.subset(torch.cat(rows)), _spread(reconstruction, group))


def spread(recovered: Recovered, groups: Groups) -> Recovered:
    """Repeat the reconstruction of each group for its members, so that every forgotten image can be scored.

    Args:
        recovered: The attackers' reconstructions, one for each group.
        groups: The groups.

    Returns:
        Reconstructions in the order of the forgotten samples.
    """
    return replace(
        recovered,
        reconstruction=_spread(recovered.reconstruction, groups.group),
        others={name: _spread(other, groups.group) for name, other in recovered.others.items()},
    )


def _spread(reconstruction: Reconstruction, group: Tensor) -> Reconstruction:
    return replace(reconstruction, images=reconstruction.images[group])
