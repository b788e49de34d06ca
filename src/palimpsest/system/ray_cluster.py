"""Connection to a Ray cluster."""

import os
from collections.abc import Callable
from typing import Any

from palimpsest.distribution import install_command
from palimpsest.errors import ConfigurationError


def connect(key: str) -> tuple[Any, Callable[[], None]]:
    """Connect to the cluster that `RAY_ADDRESS` names, or start one on this machine.

    Args:
        key: The setting that requires Ray, as the user wrote it, for the error message.

    Returns:
        Ray's module, and a function that disconnects. The function does nothing if Ray was connected before.

    Raises:
        ConfigurationError: Ray is not installed.
    """
    # Silences a warning about accelerators in a future version of Ray; the tasks of this package request none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            f"{key} needs Ray: {install_command('flower')}, or omit {key.partition(' ')[0]}."
        ) from error
    if ray.is_initialized():
        return ray, lambda: None
    ray.init(include_dashboard=False, log_to_driver=False)
    return ray, ray.shutdown
