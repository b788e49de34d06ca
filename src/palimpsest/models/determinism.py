"""Check that a network is a function of its inputs in evaluation mode."""

import random

import numpy as np
import torch
from torch import Tensor, nn

from palimpsest.errors import ModelError


def require_deterministic(model: nn.Module, samples: Tensor) -> None:
    """Reject a network that is random in evaluation mode: a proof of it can't be repeated.

    The network's random generators are compared before and after a pass, so that randomness is found even if it happens
    not to change these outputs; and the outputs of two passes with different seeds are compared, for randomness from
    elsewhere. No generator's state changes.

    Args:
        model: In evaluation mode, returning logits `[n, classes]`.
        samples: Samples `[n, ...]` on the model's device.

    Raises:
        ModelError: The network draws random numbers, or its outputs differ between two passes.
    """
    python, numpy = random.getstate(), np.random.get_state()
    devices = [samples.device] if samples.is_cuda else []
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            _seed(1, samples)
            before = _states(samples)
            first = model(samples)
            drawn = before != _states(samples)
            _seed(2, samples)
            second = model(samples)
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
    if drawn or not _equal_bits(first, second):
        change = float((first - second).abs().max())
        raise ModelError(
            f"{type(model).__name__} is random in evaluation mode: {'it draws random numbers, and ' if drawn else ''}"
            f"two passes of the same samples differ by up to {change:.3g}. Make it depend on self.training, as in "
            "F.dropout(x, p, training=self.training)."
        )


def _equal_bits(first: Tensor, second: Tensor) -> bool:
    """Return True if two tensors are the same bit by bit; a value that is not a number equals itself."""
    return torch.equal(*(tensor.contiguous().view(torch.uint8) for tensor in (first, second)))


def _seed(seed: int, batch: Tensor) -> None:
    torch.default_generator.manual_seed(seed)
    if batch.is_cuda:
        torch.cuda.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # networks may use the global generator


def _states(batch: Tensor) -> tuple[object, ...]:
    """Return the states of all generators in a form that can be compared."""
    cuda = torch.cuda.get_rng_state(batch.device).numpy().tobytes() if batch.is_cuda else b""
    numpy = np.random.get_state(legacy=False)
    return (
        torch.get_rng_state().numpy().tobytes(),
        cuda,
        random.getstate(),
        numpy["state"]["key"].tobytes(),
        numpy["state"]["pos"],
    )
