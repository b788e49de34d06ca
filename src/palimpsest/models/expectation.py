"""Names and shapes that a network needs from a state dict, and the tensors that need not be stored."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from palimpsest.models.adapters import without_adapters

_WRAPPERS = frozenset(
    {"module", "_orig_mod", "_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
)
"""Name components that DataParallel, torch.compile, Opacus, FSDP and activation checkpointing insert."""
BATCHES = "num_batches_tracked"
"""Name of a counter that does not matter in evaluation mode."""
_STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class Expectation:
    """Needs of a network, which a state dict has to meet.

    Args:
        network: As its factory made it.
        tensors: Its state dict.
        optional: Names that need not be stored.
        tied: The other names of each parameter that has several.
        frozen: Names of the parameters that clients do not train.
        remade: Names of those that the factory makes equal each time, as it does with the weights of a base model.
    """

    network: nn.Module
    tensors: dict[str, Tensor]
    optional: frozenset[str]
    tied: dict[str, tuple[str, ...]]
    frozen: frozenset[str]
    remade: frozenset[str]


def expect(network: nn.Module, twin: nn.Module | None) -> Expectation:
    """Return what a network needs.

    Args:
        network: As its factory made it.
        twin: As for `match_names`.
    """
    tensors, others = network.state_dict(), (twin or network).state_dict()
    optional = frozenset(
        name
        for name, buffer in network.named_buffers()
        if name.endswith(BATCHES)
        or (not name.endswith(_STATISTICS) and name in others and torch.equal(buffer, others[name]))
    )
    every = dict(network.named_parameters(remove_duplicate=False))
    frozen = frozenset(name for name, parameter in every.items() if not parameter.requires_grad)
    # A network without any trainable parameter was made for inference, and is trained in all of them.
    frozen = frozen if len(frozen) < len(every) else frozenset()
    groups: dict[int, list[str]] = {}
    for name, parameter in every.items():
        groups.setdefault(id(parameter), []).append(name)
    tied = {
        name: tuple(other for other in group if other != name) for group in groups.values() for name in group
    }
    remade = frozenset(
        name
        for name in frozen
        if twin is not None and name in others and torch.equal(tensors[name], others[name])
    )
    return Expectation(network, tensors, optional, tied, frozen, remade)


def plain_names(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the names, by those without the components that wrappers and adapters insert."""
    plain = {_without_wrappers(without_adapters(name)): name for name in tensors}
    # Two adapters of one layer differ only in their components.
    return plain if len(plain) == len(tensors) else {_without_wrappers(name): name for name in tensors}


def _without_wrappers(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)
