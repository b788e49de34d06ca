"""Ray, where work is spread over processes and machines."""

import os
from collections.abc import Callable
from typing import Any

from palimpsest.errors import ConfigurationError


def connect(key: str) -> tuple[Any, Callable[[], None]]:
    """Ray's module, and what ends it: the cluster that `RAY_ADDRESS` names, or one that is started on this machine.

    Args:
        key: What asks for it, as the user wrote it.

    Returns:
        The module, and a function that stops what was started here; it does nothing where Ray ran before.

    Raises:
        ConfigurationError: Ray is not installed.
    """
    # Ray's announcement of what a later version will do about accelerators; a task that takes none is not concerned.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            f"{key} needs Ray: pip install 'palimpsest[flower]', or leave {key.partition(' ')[0]} out."
        ) from error
    if ray.is_initialized():
        return ray, lambda: None
    ray.init(include_dashboard=False, log_to_driver=False)
    return ray, ray.shutdown
