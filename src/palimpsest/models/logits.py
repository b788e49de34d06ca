"""Logits `[n, classes]` from networks that return them in a mapping, in an object, or as a single number."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from palimpsest.errors import ModelError
from palimpsest.models.normalized import Normalized

Output = Literal["tensor", "key", "attribute"]


class Logits(nn.Module):
    """Return `[n, classes]` logits of a network, whose parameters stay the only ones.

    A single logit z, as a binary classifier has it, becomes the pair (0, z). The softmax of the pair is the sigmoid
    of z, so the cross-entropy of the pair equals the binary cross-entropy of z, and so do the gradients.
    """

    def __init__(self, network: nn.Module, *, output: Output, single: bool) -> None:
        """Wrap a network.

        Args:
            network: Returns logits in some form.
            output: Where the logits are: the value itself, under the key `logits`, or in the attribute `logits`.
            single: Whether the network returns one logit for each sample, `[n]` or `[n, 1]`.
        """
        super().__init__()
        self.network = network
        self.output: Output = output
        self.single = single

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits `[n, classes]`.

        Args:
            inputs: Samples `[n, ...]`.
        """
        logits = _take(self.network(inputs), self.output)
        if not self.single:
            return logits
        column = logits.reshape(len(logits), 1)
        return torch.cat([torch.zeros_like(column), column], dim=1)


def with_logits(network: nn.Module, samples: Tensor) -> nn.Module:
    """Wrap a network if it returns its logits in another form than `[n, classes]`.

    Args:
        network: In evaluation mode.
        samples: Two or more samples `[n, ...]` that it takes.

    Returns:
        The network itself if it already returns `[n, classes]`, with two or more classes.

    Raises:
        ModelError: The network returns something that is not logits; the message describes it.

    Example:
        >>> network = with_logits(nn.Linear(3, 1), torch.zeros(2, 3))
        >>> network(torch.zeros(4, 3)).shape
        torch.Size([4, 2])
    """
    with torch.no_grad():
        returned: Any = network(samples)
    output = _find(returned)
    if output is None:
        raise ModelError(
            f"{type(network).__name__} returns a {type(returned).__name__}, not logits. Wrap it in a module that "
            "returns a tensor of shape (samples, classes)."
        )
    logits = _take(returned, output)
    shape = tuple(logits.shape)
    if shape in ((len(samples),), (len(samples), 1)):
        return Logits(network, output=output, single=True).eval()
    if len(shape) != 2 or shape[0] != len(samples):
        raise ModelError(
            f"{type(network).__name__} returns {shape} for {len(samples)} samples, not ({len(samples)}, classes). Wrap "
            "it in a module that returns one row of logits for each sample."
        )
    return network if output == "tensor" else Logits(network, output=output, single=False).eval()


def _find(returned: object) -> Output | None:
    if isinstance(returned, Tensor):
        return "tensor"
    if isinstance(returned, Mapping) and isinstance(returned.get("logits"), Tensor):
        return "key"
    return "attribute" if isinstance(getattr(returned, "logits", None), Tensor) else None


def _take(returned: Any, output: Output) -> Tensor:
    if output == "tensor":
        return returned
    return returned["logits"] if output == "key" else returned.logits


def bare(model: nn.Module) -> nn.Module:
    """Return the network without its `Logits` and `Normalized` wrappers, or the model itself if it has none."""
    while isinstance(model, Logits | Normalized):
        model = model.network
    return model


def renormalized(model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> nn.Module:
    """Return a classifier of the same network with another normalization of images.

    Args:
        model: A classifier, possibly with `Logits` and `Normalized` around its network.
        mean: Mean of each channel, for pixels in [0, 1].
        std: Standard deviation of each channel, for pixels in [0, 1].
    """
    scaled = Normalized(bare(model), mean, std)
    return Logits(scaled, output=model.output, single=model.single) if isinstance(model, Logits) else scaled
