"""Checks of the two checkpoints against the network and against each other."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from palimpsest.doctor.finding import Finding, error, ok, warning
from palimpsest.storage import Parameters

_MOST_NAMED = 5
_BATCH_NORMS = (nn.modules.batchnorm._BatchNorm,)


def check_names(which: str, parameters: Parameters, network: nn.Module) -> Iterator[Finding]:
    """Compare the names and shapes of a checkpoint's tensors with the network's.

    Args:
        which: The checkpoint's name in findings: `original` or `unlearned`.
        parameters: The checkpoint's tensors.
        network: The network that the factory built.
    """
    expected: Mapping[str, Tensor] = network.state_dict()
    missing = [name for name in expected if name not in parameters]
    unexpected = [name for name in parameters if name not in expected]
    reshaped = [
        f"{name} is {list(parameters[name].shape)}, in the network {list(tensor.shape)}"
        for name, tensor in expected.items()
        if name in parameters and parameters[name].shape != tensor.shape
    ]
    if missing:
        yield error(
            which, f"It lacks {_listed(missing)}. It belongs to another network, or to a part of this one."
        )
    if unexpected:
        yield error(
            which,
            f"The network has no {_listed(unexpected)}. Pass the model that this checkpoint was saved from.",
        )
    if reshaped:
        yield error(which, f"{_listed(reshaped)}. Set model_arguments to those that it was trained with.")
    if not (missing or unexpected or reshaped):
        yield ok(which, f"{len(expected):,} tensors, with the names and shapes of the network.")


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
            "Both hold the same values, so every proof is zero. Pass the model after unlearning as unlearned.",
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
    count = sum(parameter.numel() for parameter in network.parameters())
    yield ok(
        "gradient", f"{count:,} numbers, {count / pixels:,.1f} for each of a sample's {pixels:,} values."
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
