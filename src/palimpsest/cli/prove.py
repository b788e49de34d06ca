"""`palimpsest prove`."""

from pathlib import Path
from typing import Annotated

from rich.console import Console

from palimpsest.api.progress import reporting
from palimpsest.api.proofs import prove_files
from palimpsest.cli.options import FLAG, DataDir, Debug, Json, Keys, Quiet
from palimpsest.cli.output import print_json
from palimpsest.cli.overrides import given_keys


def prove(
    *,
    out: Path = Path("proofs.safetensors"),
    overwrite: Annotated[bool, FLAG] = False,
    data_dir: DataDir = None,
    quiet: Quiet = False,
    machine: Json = False,
    debug: Debug = False,
    overrides: Keys = None,
) -> None:
    """Make proofs of unlearning, one gradient difference for each sample, from two checkpoints.

    Parameters
    ----------
    out
        Proof file to write, readable only by its owner. A file that already holds these proofs is kept.
    overwrite
        Replace an existing file.
    """
    with reporting(quiet=quiet, machine=machine, owns_process=True):
        proofs = prove_files(given_keys(overrides), out=out, overwrite=overwrite, data_dir=data_dir)
    count, dimension = proofs.vectors.shape
    norms = proofs.vectors.norm(dim=1)
    if machine:
        extremes = [float(norms.min()), float(norms.max())]
        return print_json(proofs=str(out), count=count, dimension=dimension, norms=extremes)
    return Console(quiet=quiet, soft_wrap=True).print(
        f"Wrote {count:,} proofs of {dimension:,} numbers, norms {norms.min():.4g} to {norms.max():.4g}, to {out}",
        highlight=False,
    )
