"""What the package does when it is merely imported or run: little, soon, and to nobody's knowledge."""

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


def in_a_fresh_interpreter(code: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        text=True,
        timeout=250,
        env=kept | environment,
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
    flower_tells = flower.FLWR_TELEMETRY_ENABLED
except ImportError:
    flower_tells = "0"
print(json.dumps([seconds, heavy, dict(os.environ), hub.HF_HUB_DISABLE_TELEMETRY, flower_tells]))
"""


def test_importing_is_quick_and_light_and_switches_telemetry_off_before_its_owners_look() -> None:
    told = in_a_fresh_interpreter(_IMPORT, RAY_USAGE_STATS_ENABLED="1").splitlines()[-1]
    # Beside torch's own; the processor's time, which others' work on the machine leaves alone.
    seconds, heavy, environment, hub_is_off, flower = json.loads(told)
    assert seconds < 2
    assert heavy == []
    assert (hub_is_off, flower) == (True, "0")
    # What its user has set is left alone.
    assert {name: environment[name] for name in SWITCHES} == SWITCHES | {"RAY_USAGE_STATS_ENABLED": "1"}


_SILENT = """
import logging, socket, sys, tempfile
from pathlib import Path

def refuse(*address, **_):
    raise AssertionError(f"something connects to {address}")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.socket.sendto = refuse
logging.basicConfig(level=logging.DEBUG)
from rich.console import Console
from fuzz.workloads import config
from palimpsest.pipeline.audit import audit

with tempfile.TemporaryDirectory() as folder:
    audit(config(), out=Path(folder) / "run", console=Console(file=sys.stderr))
print("silent")
"""


def test_an_audit_of_the_embedded_data_connects_to_nothing_and_its_logs_hold_no_pixels() -> None:
    told = in_a_fresh_interpreter(_SILENT)
    assert told.startswith("silent\n")
    # A line for each stage, and nothing like a row of numbers. Progress has a line a second, Matplotlib one a font.
    lines = [
        line for line in told.splitlines() if not line.startswith(("DEBUG:palimpsest:", "DEBUG:matplotlib"))
    ]
    assert 8 < len(lines) < 60
    assert "tensor(" not in told
    assert max(map(len, told.splitlines())) < 400
