"""Options that several commands share."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic import BaseModel

from palimpsest.progress.trackers import tracker_names

FLAG = Parameter(negative="")
SEVERAL = Parameter(negative="", consume_multiple=True)

Keys = Annotated[BaseModel | None, Parameter(name="*")]
"""Stands in a command for the flags of its configuration, which `with_flags` puts in its place."""
DataDir = Annotated[
    Path | None,
    Parameter(
        help="A folder that mirrors the data sets under the hub's names; what it lacks comes from the hub."
    ),
]
Quiet = Annotated[bool, Parameter(negative="", help="Print nothing but errors.")]
Json = Annotated[
    bool,
    Parameter(
        name="--json", negative="", help="Print JSON for machines: an object a line, the last the result."
    ),
]
Log = Annotated[
    Path | None,
    Parameter(help="Add a line for each stage, and now and then for what takes long, to this file."),
]
Track = Annotated[
    list[str] | None,
    Parameter(
        negative="",
        consume_multiple=True,
        help="Pass curves and scores, and no image, to these trackers; each needs its own package: "
        f"{', '.join(tracker_names())}.",
    ),
]
Import = Annotated[
    list[str] | None,
    Parameter(
        name="--import",
        negative="",
        help="A module to import first, which registers components, such as my_attack for my_attack.py in the working "
        "directory; may be repeated.",
    ),
]
Debug = Annotated[bool, Parameter(negative="", help="Show a traceback with an error.")]


def command_line() -> str:
    """The command that is running, as one would type it."""
    return shlex.join(["palimpsest", *sys.argv[1:]])
