"""The device that a configuration asks for."""

import torch

from palimpsest.errors import ConfigurationError


def pick_device(wanted: str) -> str:
    """The device that a configuration means.

    Raises:
        ConfigurationError: CUDA is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ConfigurationError(
            "device is cuda, and no GPU answers: use --device cpu, or a CUDA build of torch."
        )
    return "cuda" if wanted != "cpu" and available else "cpu"
