"""Flags that several commands share."""

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
"""A placeholder in a command's signature, which `with_flags` replaces by the flags of its configuration."""
DataDir = Annotated[
    Path | None,
    Parameter(
        help="Local mirror of the data sets, under the hub's names. Missing data sets are fetched from the hub."
    ),
]
Quiet = Annotated[bool, Parameter(negative="", help="Print only errors.")]
Json = Annotated[
    bool,
    Parameter(
        name="--json", negative="", help="Print JSON lines instead of text. The last line is the result."
    ),
]
Log = Annotated[
    Path | None,
    Parameter(
        help="Append progress to this file. Each stage adds a line, and long stages add one now and then."
    ),
]
Track = Annotated[
    list[str] | None,
    Parameter(
        negative="",
        consume_multiple=True,
        help="Send curves and scores, but no images, to these trackers. Each needs its own package: "
        f"{', '.join(tracker_names())}.",
    ),
]
Import = Annotated[
    list[str] | None,
    Parameter(
        name="--import",
        negative="",
        help="Module to import first, which registers components. For example, my_attack is the file my_attack.py in "
        "the working directory. May be repeated.",
    ),
]
Debug = Annotated[bool, Parameter(negative="", help="Show the traceback of an error.")]


def command_line() -> str:
    """Return the running command as it would be typed in a shell."""
    return shlex.join(["palimpsest", *sys.argv[1:]])
