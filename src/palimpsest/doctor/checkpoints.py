"""Do the checkpoints belong to the network, and to each other?"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from palimpsest.doctor.finding import Finding, error, ok, warning
from palimpsest.storage import Parameters

_NAMED = 5
_MIXING = (nn.modules.batchnorm._BatchNorm,)


def check_names(which: str, parameters: Parameters, network: nn.Module) -> Iterator[Finding]:
    """Names and shapes of a checkpoint beside the network's.

    Args:
        which: What the checkpoint is called.
        parameters: Its tensors.
        network: As the factory made it.
    """
    expected: Mapping[str, Tensor] = network.state_dict()
    missing = [name for name in expected if name not in parameters]
    strange = [name for name in parameters if name not in expected]
    reshaped = [
        f"{name} is {list(parameters[name].shape)}, the network's is {list(tensor.shape)}"
        for name, tensor in expected.items()
        if name in parameters and parameters[name].shape != tensor.shape
    ]
    if missing:
        yield error(
            which, f"It lacks {_listed(missing)}: it belongs to another network, or to a part of this one."
        )
    if strange:
        yield error(
            which, f"The network has no {_listed(strange)}: name the factory that this checkpoint came from."
        )
    if reshaped:
        yield error(which, f"{_listed(reshaped)}: set model_arguments to those that it was trained with.")
    if not (missing or strange or reshaped):
        yield ok(which, f"{len(expected):,} tensors, names and shapes as the network has them.")


def check_pair(before: Parameters, after: Parameters) -> Iterator[Finding]:
    """Did anything change between the two checkpoints?"""
    shared = [name for name in before if name in after and before[name].shape == after[name].shape]
    moved = [name for name in shared if not torch.equal(before[name], after[name])]
    if not moved:
        yield error(
            "checkpoints", "They hold the same numbers: every proof is zero. Give the model after unlearning."
        )
        return
    change = (
        sum(float((after[name].double() - before[name].double()).square().sum()) for name in moved) ** 0.5
    )
    size = sum(float(before[name].double().square().sum()) for name in shared) ** 0.5
    yield ok(
        "checkpoints",
        f"{len(moved):,} tensors differ; the distance is {change / max(size, 1e-30):.2%} of the norm.",
    )


def check_layers(network: nn.Module, pixels: int) -> Iterator[Finding]:
    """Layers whose behavior in training would make another proof, and how much a gradient holds.

    Args:
        network: With the original model's parameters.
        pixels: Numbers in one image.
    """
    norms = [(name, module) for name, module in network.named_modules() if isinstance(module, _MIXING)]
    without = [name for name, module in norms if module.running_mean is None]
    untouched = [
        name
        for name, module in norms
        if module.num_batches_tracked is not None and not int(module.num_batches_tracked)
    ]
    if without:
        yield error(
            "batch norm",
            f"{_listed(without)} keep no running statistics, so that samples of a batch mix: no sample has a gradient "
            "of its own.",
        )
    elif untouched:
        yield warning(
            "batch norm",
            f"{_listed(untouched)} never counted a batch: if the running statistics were not saved, proofs are made by "
            "another function than the federation's.",
        )
    elif norms:
        yield ok(
            "batch norm",
            f"{len(norms)} layers; proofs are made in evaluation mode, with their running statistics.",
        )
    dropping = [
        name for name, module in network.named_modules() if isinstance(module, nn.modules.dropout._DropoutNd)
    ]
    if dropping:
        yield ok(
            "mode", f"{len(dropping)} dropout layers, which are off: proofs are made in evaluation mode."
        )
    count = sum(parameter.numel() for parameter in network.parameters())
    yield ok(
        "gradient", f"{count:,} numbers, {count / pixels:,.1f} for each of a sample's {pixels:,} values."
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
