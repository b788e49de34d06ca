"""Groups of trainable parameters by the source of their per-sample gradients: rules, copies, or neither."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from palimpsest.gradients.layer_uses import has_rule
from palimpsest.gradients.trainable import trainable_parameters


class Coverage(NamedTuple):
    """Names of a model's trainable parameters, in three groups.

    Args:
        by_rule: Parameters of layers with a rule, which are used by no other layer.
        copied: Parameters with a first dimension of one, such as positions and class tokens. Each sample can get a
            copy.
        others: All other parameters.
    """

    by_rule: tuple[str, ...]
    copied: tuple[str, ...]
    others: tuple[str, ...]

    def without_copies(self) -> "Coverage":
        """Return the same groups with the copied parameters among the others."""
        return Coverage(self.by_rule, (), (*self.copied, *self.others))


def find_coverage(model: nn.Module) -> Coverage:
    """Divide a model's trainable parameters into groups by the layers that hold them.

    Args:
        model: The model.
    """
    holders = Counter(
        id(parameter) for module in model.modules() for parameter in module.parameters(recurse=False)
    )
    trainable = trainable_parameters(model)
    by_rule = set[str]()
    for name, layer in layers_of(model, trainable).items():
        held = list(layer.named_parameters(prefix=name, recurse=False))
        if has_rule(layer) and all(holders[id(parameter)] == 1 for _, parameter in held):
            by_rule.update(key for key, _ in held)
    groups: dict[str, list[str]] = {"rule": [], "copied": [], "other": []}
    for name, parameter in trainable.items():
        once = holders[id(parameter)] == 1 and parameter.dim() > 1 and len(parameter) == 1
        groups["rule" if name in by_rule else "copied" if once else "other"].append(name)
    return Coverage(*map(tuple, groups.values()))


def layers_of(model: nn.Module, parameters: Collection[str]) -> dict[str, nn.Module]:
    """Return the modules that directly hold some parameters, by name.

    Args:
        model: The model.
        parameters: Names of parameters of the model.
    """
    return {
        name: module
        for name, module in model.named_modules()
        if any(
            f"{name}.{parameter}".removeprefix(".") in parameters
            for parameter, _ in module.named_parameters(recurse=False)
        )
    }


def columns_of(parameters: Mapping[str, Tensor]) -> dict[str, slice]:
    """Return the columns of each parameter in a flattened gradient of them all."""
    columns, start = dict[str, slice](), 0
    for name, parameter in parameters.items():
        columns[name] = slice(start, start + parameter.numel())
        start += parameter.numel()
    return columns


def expanded(parameter: Tensor, count: int) -> Tensor:
    """Return a view `[count, ...]` of a parameter `[1, ...]` with a row for each sample."""
    return parameter.expand(count, *parameter.shape[1:])


@torch.no_grad()
def copies_stay_apart(model: nn.Module, images: Tensor, names: Collection[str]) -> bool:
    """Return True if a sample's copy of some parameters affects this sample only, and as the parameter does.

    Args:
        model: The model, in eval mode.
        images: At least one image of the shape that the copies will be used with, `[n, ...]`.
        names: The parameters, each with a first dimension of one.
    """
    parameters = {name: value.detach() for name, value in model.named_parameters()}
    pair = torch.cat([images[:1], images[-1:]])
    try:
        expected = functional_call(model, parameters, (pair,))
        for place in range(2):
            copies = {name: expanded(parameters[name], 2).clone() for name in names}
            for copy in copies.values():
                copy[1 - place] += 3
            logits = functional_call(model, parameters | copies, (pair,))
            if logits.shape != expected.shape or not torch.equal(logits[place], expected[place]):
                return False
    # A model may fail in any way with copies. The parameters are then not copied.
    except Exception:
        return False
    return True


@contextmanager
def only_trainable(model: nn.Module, names: Collection[str]) -> Iterator[None]:
    """Freeze all parameters but some while the context lasts.

    Args:
        model: The model.
        names: Names of the parameters that stay or become trainable.
    """
    flags = [(name, parameter, parameter.requires_grad) for name, parameter in model.named_parameters()]
    try:
        for name, parameter, _ in flags:
            parameter.requires_grad_(name in names)
        yield
    finally:
        for _, parameter, flag in flags:
            parameter.requires_grad_(flag)
