"""`palimpsest defend`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from palimpsest.api.proofs import defend as defend_proofs
from palimpsest.api.proofs import read_defenses
from palimpsest.cli.options import Debug, Import, Json
from palimpsest.cli.output import print_json
from palimpsest.config import load_imports


def defend(
    proofs: Path,
    *,
    with_: Annotated[str, Parameter(name="--with")],
    out: Path,
    seed: int | None = None,
    modules: Import = None,
    machine: Json = False,
    debug: Debug = False,
) -> None:
    """Apply defenses to a proof file, as a client does before it submits its proofs.

    Parameters
    ----------
    proofs
        Proof file in safetensors format.
    with_
        Name of a defense, or a YAML list of names and of defenses with settings: '[{name: prune, ratio: 0.9}, sign]'.
    out
        File to write. Its metadata names the defenses, but contains no secrets.
    seed
        Seed of the random numbers. By default, they come from the operating system, as they should for real proofs.
    """
    load_imports({"imports": modules})
    defended = defend_proofs(proofs, read_defenses(with_), out=out, seed=seed)
    count, dimension = defended.vectors.shape
    if machine:
        return print_json(proofs=str(out), count=count, dimension=dimension, metadata=defended.metadata)
    return Console(soft_wrap=True).print(
        f"Wrote {count:,} proofs of {dimension:,} numbers, defended with {defended.metadata['defenses']}, to {out}.",
        highlight=False,
        markup=False,
    )
