"""Build the wheel, install it in an empty environment, and use it there, first without extras and then with each.

`python -m installation` needs the package index, or pip's cache of it.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from subprocess import CalledProcessError

from installation.build import build, missing_files
from installation.environment import Environment

MODULES = {
    "datasets": ("pyarrow.parquet", "huggingface_hub"),
    "http": ("httpx",),
    "perceptual": ("torchvision",),
    "flower": ("flwr", "flwr_datasets", "ray"),
    "tracking": ("mlflow", "wandb", "tensorboard"),
}
"""Modules that each extra provides and that its parts of the program import."""
_SMALL = (
    "--federation.rounds",
    "4",
    "--attack.epochs",
    "1",
    "--attack.queries",
    "1",
    "--scoring.bootstrap",
    "20",
)
_NEEDS_DATASETS = ("cifar10-convnet-retrain-sample", "--attack.beta", "0")


def main() -> int:
    """Print the size of each installation; end with 1 if the wheel is incomplete or a step fails."""
    parser = argparse.ArgumentParser(prog="python -m installation", description=__doc__)
    parser.add_argument(
        "--extras", nargs="*", choices=MODULES, default=list(MODULES), help="extras to install"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sdist, wheel = build(Path(folder))
        absent = missing_files(wheel)
        if absent:
            print(f"{wheel.name}, built from {sdist.name}, lacks {', '.join(absent)}.")
            return 1
        environment = Environment.create(Path(folder) / "environment", wheel)
        try:
            check_core(environment)
            for extra in chosen.extras:
                check_extra(environment, extra)
        except (RuntimeError, CalledProcessError) as error:
            print(error)
            return 1
    return 0


def check_core(environment: Environment) -> None:
    """Install the wheel without extras, and run the commands of the main job on the embedded digits."""
    start = time.perf_counter()
    environment.install()
    _report("core", environment, start)
    print(f"palimpsest {environment.run('palimpsest', '--version').strip()}")
    environment.run("palimpsest", "--help")
    environment.run("palimpsest", "audit", "digits", "--out", "run", *_SMALL)
    environment.run("palimpsest", "verify", "run/proofs.safetensors", "--tau", "1e9")
    environment.run("palimpsest", "report", "run", "--redact")
    message = " ".join(environment.run("palimpsest", "audit", *_NEEDS_DATASETS, code=2).split())
    if "pip install 'palimpsest-audit[datasets]'" not in message:
        raise RuntimeError(f"The error does not name the extra: {message}")


def check_extra(environment: Environment, extra: str) -> None:
    """Add an extra, and import what it provides.

    Args:
        environment: An environment with the wheel.
        extra: Name of the extra.
    """
    start = time.perf_counter()
    environment.install(extra)
    _report(extra, environment, start)
    loads = "".join(f"import {module}; " for module in MODULES[extra])
    compatible = "from palimpsest.system.torchvision_compat import declare_operators; declare_operators(); "
    environment.run("python", "-c", compatible + loads)
    environment.run("python", "-m", "pip", "--disable-pip-version-check", "check")


def _report(name: str, environment: Environment, start: float) -> None:
    seconds = time.perf_counter() - start
    print(
        f"{name}: {environment.distributions()} distributions, {environment.mebibytes():,.0f} MiB, {seconds:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
