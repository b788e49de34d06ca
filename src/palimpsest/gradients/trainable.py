"""The parameters that a model is trained in: those whose gradients clients have, and that proofs are made of."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import nn

from palimpsest.errors import ModelError


def trainable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that require a gradient, in `named_parameters()` order.

    A fine-tuned head or an adapter leaves most parameters frozen: clients then have no gradients of them. A model
    with no parameter that requires a gradient, such as one that was loaded for inference, counts as trained in all
    of them.

    Args:
        model: Any module. Tied parameters occur once, under their first name.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
        >>> _ = model[0].requires_grad_(False)
        >>> list(trainable_parameters(model))
        ['1.weight', '1.bias']
    """
    parameters = dict(model.named_parameters())
    trained = {name: parameter for name, parameter in parameters.items() if parameter.requires_grad}
    return trained or parameters


def parameter_count(model: nn.Module) -> int:
    """Return the number of a model's trainable parameters, which is the dimension d of its flattened gradient."""
    return sum(parameter.numel() for parameter in trainable_parameters(model).values())


def set_trainable(model: nn.Module, patterns: Iterable[str]) -> None:
    """Freeze every parameter whose name matches no pattern, and make the others trainable.

    Args:
        model: The module that is changed.
        patterns: Shell patterns of parameter names, such as `head.*` or `*.lora_A.*`.

    Raises:
        ModelError: A pattern matches no parameter.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
            raise ModelError(
                f"trainable is {pattern!r}, which matches no parameter of {type(model).__name__}. Its parameters are "
                f"{shown}."
            )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(fnmatchcase(name, pattern) for pattern in patterns))
