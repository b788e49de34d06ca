"""Control groups: the trained attack on gradient differences of samples that were not to be forgotten."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from palimpsest.attacks import AuditorView, Reconstruction
from palimpsest.config import AttackingConfig
from palimpsest.datasets import FederatedData, ImageSet
from palimpsest.oracles import Oracle, query_all
from palimpsest.pipeline.stages.auditor import defended_oracle
from palimpsest.pipeline.stages.recovered import Inverter
from palimpsest.randomness import make_generator
from palimpsest.runs import Run
from palimpsest.unlearning import Request

MOST = 200
"""Largest number of samples in a group."""
FEWEST = 4
"""Smallest number of samples in a group."""
RETAINED, NEVER_TRAINED = "retained", "never_trained"
_MEMORY_SHARE = 4


@dataclass(frozen=True)
class ControlSamples:
    """Samples of a control group.

    Args:
        samples: The samples.
        same_classes: Whether they were chosen from the classes of the forgotten samples.
    """

    samples: ImageSet
    same_classes: bool


@dataclass(frozen=True)
class ControlGroup(ControlSamples):
    """A control group and what the attack reconstructs.

    Args:
        images: The reconstructions, in the order of the samples.
    """

    images: Tensor


def choose_control_groups(
    data: FederatedData, request: Request, *, most: int = MOST, seed: int
) -> dict[str, ControlSamples]:
    """Choose retained and never-trained samples, as many as were forgotten or as are available.

    The classes have the proportions of the forgotten samples, as far as there are samples of these classes. If there
    are fewer than four, such as retained samples of a forgotten class, the group has samples of any class.

    Args:
        data: The images of all parties. Never-trained samples are held-out images.
        request: The samples to forget and to retain.
        most: Largest number of samples in a group.
        seed: The run's seed, which selects the samples.

    Returns:
        The groups by name; a group with fewer than four samples is absent.
    """
    forgotten = data.train.labels[request.rows]
    pools = {RETAINED: data.train.subset(request.retained_rows), NEVER_TRAINED: data.held_out}
    groups = {}
    for name, pool in pools.items():
        generator = make_generator(seed, "control groups", name)
        template = forgotten[torch.randperm(len(forgotten), generator=generator)[:most]]
        order = torch.randperm(len(pool), generator=generator)
        rows = _rows_like(template, pool.labels, order)
        same_classes = len(rows) >= min(FEWEST, len(template))
        if not same_classes:
            rows = order[: len(template)]
        if len(rows) >= FEWEST:
            groups[name] = ControlSamples(pool.subset(rows), same_classes)
    return groups


def choose_strangers(data: FederatedData, request: Request, *, seed: int) -> ControlSamples:
    """Choose the never-trained samples that a linkage to groups must distinguish from the forgotten ones.

    They have the classes of the forgotten samples. Otherwise an attacker who knows no more than a class would tell
    them apart where a whole class was forgotten, or where clients hold few classes.

    Args:
        data: The images of all parties.
        request: The samples to forget.
        seed: The run's seed, which selects the samples.

    Returns:
        Samples of these classes; all held-out samples if there are fewer than four.
    """
    chosen = choose_control_groups(data, request, most=len(data.held_out), seed=seed).get(NEVER_TRAINED)
    if chosen is None or not chosen.same_classes:
        return ControlSamples(data.held_out, same_classes=False)
    return chosen


def attack_control_groups(
    run: Run,
    config: AttackingConfig,
    inverter: Inverter | None,
    view: AuditorView[Any],
    groups: Mapping[str, ControlSamples],
    *,
    key: Sequence[object],
) -> dict[str, ControlGroup]:
    """Run a stage for each group: query its gradient differences, defend them like proofs, and reconstruct the samples.

    Nothing is trained, and the attack receives nothing but the gradient differences.

    Args:
        run: The run that stores the stages.
        config: Defenses and seed.
        inverter: The attack that was trained for the proofs; None if it is no trained attack.
        view: The auditor's view.
        groups: The samples of each group.
        key: Everything that the oracle's answers depend on.

    Returns:
        The groups with their reconstructions; empty without a trained attack.
    """
    if inverter is None:
        return {}
    # The vectors of a group are in memory at once.
    most = view.memory_budget // _MEMORY_SHARE // (4 * view.oracle.dimension)
    attacked = {}
    for name, group in groups.items():
        samples = group.samples.subset(torch.arange(min(len(group.samples), inverter.most, most)))
        if len(samples) < FEWEST:
            continue
        oracle = defended_oracle(config, view, f"{name} samples") if config.defenses else view.oracle
        found = run.stage(
            f"controls-{name.replace('_', '-')}",
            Reconstruction,
            lambda _, samples=samples, oracle=oracle: _reconstruct(inverter, oracle, samples),
            key=(*key, inverter.learned, samples, config.defenses, config.seed, view.device),
        )
        attacked[name] = ControlGroup(samples, group.same_classes, found.images)
    return attacked


def _reconstruct(inverter: Inverter, oracle: Oracle, samples: ImageSet) -> Reconstruction:
    return Reconstruction(inverter(query_all(oracle, samples)).images, {}, {})


def _rows_like(template: Tensor, labels: Tensor, order: Tensor) -> Tensor:
    """Return the first rows in an order that have the labels of the template, each class at most as often as it."""
    found = [
        order[labels[order] == label][: int(times)]
        for label, times in zip(*template.unique(return_counts=True), strict=True)
    ]
    rows = torch.cat(found)
    # Sorted by class, a smaller group would lack the last classes.
    return order[torch.isin(order, rows)]
