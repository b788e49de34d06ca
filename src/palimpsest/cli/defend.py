"""`palimpsest defend`."""

from pathlib import Path
from typing import Annotated, Any

import yaml
from cyclopts import Parameter
from rich.console import Console

from palimpsest.cli.options import Debug, Json
from palimpsest.cli.output import print_json
from palimpsest.config import listed_defenses
from palimpsest.errors import ConfigurationError


def defend(
    proofs: Path,
    *,
    with_: Annotated[str, Parameter(name="--with")],
    out: Path,
    seed: int | None = None,
    machine: Json = False,
    debug: Debug = False,
) -> None:
    """Defend a proof file: what a client does before it hands its proofs in.

    Parameters
    ----------
    proofs
        The proof file, safetensors.
    with_
        A defence's name, or a YAML list of names and of defences with settings: '[{name: prune, ratio: 0.9}, sign]'.
    out
        The file to write; its metadata names what was done, and no secrets.
    seed
        Where the random numbers come from; by default the operating system, as it should be for real proofs.
    """
    from palimpsest.pipeline.stages.defend import defend_file

    defended = defend_file(proofs, _listed(with_), out=out, seed=seed)
    count, dimension = defended.vectors.shape
    if machine:
        return print_json(proofs=str(out), count=count, dimension=dimension, metadata=defended.metadata)
    return Console(soft_wrap=True).print(
        f"{count:,} proofs of {dimension:,} numbers, defended with {defended.metadata['defenses']}, stand in {out}.",
        highlight=False,
        markup=False,
    )


def _listed(text: str) -> list[dict[str, Any]]:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"--with is {text!r}, which is not YAML: give a name or a list.") from error
    try:
        return listed_defenses(value)
    except ValueError as error:
        raise ConfigurationError(f"--with is {text!r}: {error}") from error
