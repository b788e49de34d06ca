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
    """Defend a proof file: what a client does before it hands its proofs in.

    Parameters
    ----------
    proofs
        The proof file, safetensors.
    with_
        A defense's name, or a YAML list of names and of defenses with settings: '[{name: prune, ratio: 0.9}, sign]'.
    out
        The file to write; its metadata names what was done, and no secrets.
    seed
        Where the random numbers come from; by default the operating system, as it should be for real proofs.
    """
    load_imports({"imports": modules})
    defended = defend_proofs(proofs, read_defenses(with_), out=out, seed=seed)
    count, dimension = defended.vectors.shape
    if machine:
        return print_json(proofs=str(out), count=count, dimension=dimension, metadata=defended.metadata)
    return Console(soft_wrap=True).print(
        f"{count:,} proofs of {dimension:,} numbers, defended with {defended.metadata['defenses']}, stand in {out}.",
        highlight=False,
        markup=False,
    )
