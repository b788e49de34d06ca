"""Switches that turn off the telemetry of all dependencies, unless the user has set them otherwise."""

import os

SWITCHES = {
    "DO_NOT_TRACK": "1",
    "FLWR_TELEMETRY_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_ERROR_REPORTING": "false",
}
"""Environment variables that turn off the telemetry of required and optional dependencies."""


def switch_off() -> None:
    """Set every unset switch, for this process and its children. Call it before importing dependencies."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
