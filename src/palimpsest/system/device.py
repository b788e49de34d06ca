"""Choice of the device."""

import torch

from palimpsest.errors import ConfigurationError


def pick_device(wanted: str) -> str:
    """Return the device to compute on.

    Args:
        wanted: `cpu`, `cuda`, or `auto` for a GPU if there is one.

    Returns:
        `cpu` or `cuda`.

    Raises:
        ConfigurationError: `cuda` was requested and is not available.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ConfigurationError(
            "device is cuda, but torch finds no GPU. Use --device cpu or install a CUDA build of torch."
        )
    return "cuda" if wanted != "cpu" and available else "cpu"
