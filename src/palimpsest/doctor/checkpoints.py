"""Checks of the two checkpoints against the network and against each other."""

from collections.abc import Iterator

import torch
from torch import nn

from palimpsest.doctor.finding import Finding, error, ok, warning
from palimpsest.gradients import parameter_count
from palimpsest.models import Matched
from palimpsest.storage import Parameters

_MOST_NAMED = 5
_BATCH_NORMS = (nn.modules.batchnorm._BatchNorm,)


def check_names(which: str, matched: Matched) -> Iterator[Finding]:
    """Report that a checkpoint fits the network, and what was done to its names.

    Args:
        which: The checkpoint's name in findings: `original` or `unlearned`.
        matched: The checkpoint under the network's names.
    """
    done = f" Done: {'; '.join(matched.notes)}." if matched.notes else ""
    yield ok(which, f"{len(matched.parameters):,} tensors, with the names and shapes of the network.{done}")


def check_pair(before: Parameters, after: Parameters) -> Iterator[Finding]:
    """Measure the change between the two checkpoints.

    Args:
        before: Tensors of the original model.
        after: Tensors of the unlearned model.
    """
    shared = [name for name in before if name in after and before[name].shape == after[name].shape]
    changed = [name for name in shared if not torch.equal(before[name], after[name])]
    if not changed:
        yield error(
            "checkpoints",
            "Both hold the same values, so every proof is zero. Pass the model after unlearning as --unlearned.",
        )
        return
    change = (
        sum(float((after[name].double() - before[name].double()).square().sum()) for name in changed) ** 0.5
    )
    size = sum(float(before[name].double().square().sum()) for name in shared) ** 0.5
    yield ok(
        "checkpoints",
        f"{len(changed):,} tensors differ; their distance is {change / max(size, 1e-30):.2%} of the parameters' norm.",
    )


def check_layers(network: nn.Module, pixels: int) -> Iterator[Finding]:
    """Check layers whose gradients depend on the training mode, and report the length of a gradient.

    Args:
        network: The network with the original model's parameters.
        pixels: Number of values in one sample.
    """
    norms = [(name, module) for name, module in network.named_modules() if isinstance(module, _BATCH_NORMS)]
    without = [name for name, module in norms if module.running_mean is None]
    untouched = [
        name
        for name, module in norms
        if module.num_batches_tracked is not None and not int(module.num_batches_tracked)
    ]
    if without:
        yield error(
            "batch norm",
            f"{_listed(without)} keep no running statistics. Samples of a batch then affect each other, and no sample "
            "has a gradient of its own.",
        )
    elif untouched:
        yield warning(
            "batch norm",
            f"{_listed(untouched)} have never processed a batch. If their running statistics were not saved, proofs "
            "are gradients of another function than the federation trained.",
        )
    elif norms:
        yield ok(
            "batch norm",
            f"{len(norms)} layers; proofs are made in evaluation mode, with the running statistics.",
        )
    dropping = [
        name for name, module in network.named_modules() if isinstance(module, nn.modules.dropout._DropoutNd)
    ]
    if dropping:
        yield ok(
            "mode",
            f"{len(dropping)} dropout layers, which are off because proofs are made in evaluation mode.",
        )
    count = parameter_count(network)
    yield ok(
        "gradient", f"{count:,} numbers, {count / pixels:,.1f} for each of a sample's {pixels:,} values."
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
