"""`palimpsest init`."""

from pathlib import Path
from typing import Annotated

from rich.console import Console

from palimpsest.api.init import Kind
from palimpsest.api.init import init as write_template
from palimpsest.cli.options import FLAG, Debug, Json
from palimpsest.cli.output import print_json


def init(
    path: Path,
    *,
    kind: Kind = "attack",
    overwrite: Annotated[bool, FLAG] = False,
    machine: Json = False,
    debug: Debug = False,
) -> None:
    """Write a commented configuration file, to be filled in.

    Parameters
    ----------
    path
        File to write, such as case.yaml.
    kind
        Write the artifacts of your own federation for `palimpsest attack`, or the configuration of an audit.
    overwrite
        Replace an existing file.
    """
    written = write_template(path, kind=kind, overwrite=overwrite)
    if machine:
        return print_json(path=str(written))
    console = Console(soft_wrap=True)
    following = f"`palimpsest doctor {written}`" if kind == "attack" else f"`palimpsest audit {written}`"
    console.print(f"Wrote {written}. Fill it in, then run {following}.", highlight=False, markup=False)
    return None
