"""Nothing that this program uses tells anybody that it was used, unless its user sets the variable otherwise."""

import os

SWITCHES = {
    "DO_NOT_TRACK": "1",
    "FLWR_TELEMETRY_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_ERROR_REPORTING": "false",
}
"""The environment variables by which dependencies, required and optional, are told to keep quiet."""


def switch_off() -> None:
    """Set every switch that is not set yet, for this process and those that it starts; to be called before imports."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
