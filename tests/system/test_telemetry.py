"""Import time, and network silence of the package and its dependencies."""

import json
import os
import subprocess
import sys

from palimpsest.system.telemetry import SWITCHES

HEAVY = (
    "torchvision",
    "torchmetrics",
    "lightning_fabric",
    "sklearn",
    "matplotlib",
    "flwr",
    "ray",
    "mlflow",
    "wandb",
)


def run_in_new_interpreter(code: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        text=True,
        env=inherited | environment,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


_IMPORT = f"""
import json, os, sys, time, torch
start = time.process_time()
import palimpsest
seconds = time.process_time() - start
heavy = [name for name in {HEAVY} if name in sys.modules]
import huggingface_hub.constants as hub
try:
    import flwr.supercore.telemetry as flower
    flower_telemetry = flower.FLWR_TELEMETRY_ENABLED
except ImportError:
    flower_telemetry = "0"
print(json.dumps([seconds, heavy, dict(os.environ), hub.HF_HUB_DISABLE_TELEMETRY, flower_telemetry]))
"""


def test_import_loads_no_heavy_module_and_switches_telemetry_off() -> None:
    last_line = run_in_new_interpreter(_IMPORT, RAY_USAGE_STATS_ENABLED="1").splitlines()[-1]
    seconds, heavy, environment, hub_is_off, flower_telemetry = json.loads(last_line)
    # CPU time without the import of torch. Unlike wall-clock time it does not depend on the load of the machine.
    assert seconds < 2
    assert heavy == []
    assert (hub_is_off, flower_telemetry) == (True, "0")
    # A variable that the user has set does not change.
    assert {name: environment[name] for name in SWITCHES} == SWITCHES | {"RAY_USAGE_STATS_ENABLED": "1"}


_SILENT = """
import logging, socket, sys, tempfile
from pathlib import Path

def refuse(*address, **_):
    raise AssertionError(f"unexpected connection to {address}")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.socket.sendto = refuse
logging.basicConfig(level=logging.DEBUG)
from rich.console import Console
from fuzz.workloads import config
from palimpsest.pipeline.audit import audit

with tempfile.TemporaryDirectory() as folder:
    audit(config(), out=Path(folder) / "run", console=Console(file=sys.stderr))
print("silent")
"""


def test_an_audit_opens_no_connection_and_logs_no_pixels() -> None:
    output = run_in_new_interpreter(_SILENT)
    assert output.startswith("silent\n")
    # There is about one line for each stage, and no row of numbers. Progress logs one line per second, and Matplotlib
    # one per font.
    lines = [
        line for line in output.splitlines() if not line.startswith(("DEBUG:palimpsest:", "DEBUG:matplotlib"))
    ]
    assert 8 < len(lines) < 60
    assert "tensor(" not in output
    assert max(map(len, output.splitlines())) < 400
