"""`palimpsest defend`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from palimpsest.api.proofs import defend as defend_proofs
from palimpsest.api.proofs import read_defenses
from palimpsest.cli.options import FLAG, Debug, Import, Json
from palimpsest.cli.output import print_json
from palimpsest.config import load_imports
from palimpsest.registry import DEFENSES

_WITH = (
    f"Name of a defense ({', '.join(DEFENSES.names())}), or a YAML list of names and of defenses with settings: "
    "'[{name: prune, ratio: 0.9}, sign]'."
)


def defend(
    proofs: Path,
    *,
    with_: Annotated[str, Parameter(name="--with", help=_WITH)],
    out: Path,
    overwrite: Annotated[bool, FLAG] = False,
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
    out
        File to write. Its metadata names the defenses, but contains no secrets.
    overwrite
        Replace an existing file.
    seed
        Seed of the random numbers. By default, they come from the operating system, as they should for real proofs.
    """
    load_imports({"imports": modules})
    defended = defend_proofs(proofs, read_defenses(with_), out=out, overwrite=overwrite, seed=seed)
    count, dimension = defended.vectors.shape
    if machine:
        return print_json(proofs=str(out), count=count, dimension=dimension, metadata=defended.metadata)
    return Console(soft_wrap=True).print(
        f"Wrote {count:,} proofs of {dimension:,} numbers, defended with {defended.metadata['defenses']}, to {out}.",
        highlight=False,
        markup=False,
    )
