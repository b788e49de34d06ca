"""`palimpsest prove`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from pydantic import BaseModel
from rich.console import Console

from palimpsest.api.progress import watched
from palimpsest.artifacts.config import ProveConfig
from palimpsest.cli.options import DataDir, Debug, Json, Quiet
from palimpsest.cli.output import print_json
from palimpsest.cli.overrides import given_keys, override_model
from palimpsest.config import validate

# See `Overriding`.
if TYPE_CHECKING:
    ProveKeys = BaseModel
else:
    ProveKeys = override_model(ProveConfig)
Given = Annotated[ProveKeys | None, Parameter(name="*")]


def prove(
    *,
    out: Path = Path("proofs.safetensors"),
    data_dir: DataDir = None,
    quiet: Quiet = False,
    machine: Json = False,
    debug: Debug = False,
    overrides: Given = None,
) -> None:
    """Make proofs of unlearning from two checkpoints and a list of samples: one gradient difference for each.

    Parameters
    ----------
    out
        The proof file, readable by its owner only.
    """
    from palimpsest.pipeline.stages.prove import make_proofs
    from palimpsest.proofs import save_proofs

    config = validate(ProveConfig, given_keys(overrides), where="prove")
    with watched(quiet=quiet, machine=machine, everywhere=True):
        proofs = make_proofs(config, data_dir=data_dir)
    save_proofs(out, proofs)
    count, dimension = proofs.vectors.shape
    norms = proofs.vectors.norm(dim=1)
    if machine:
        ends = [float(norms.min()), float(norms.max())]
        return print_json(proofs=str(out), count=count, dimension=dimension, norms=ends)
    return Console(quiet=quiet, soft_wrap=True).print(
        f"{count:,} proofs of {dimension:,} numbers, norms {norms.min():.4g} to {norms.max():.4g}: {out}",
        highlight=False,
    )
