"""Options that several commands share."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from pydantic import BaseModel

from palimpsest.cli.overrides import override_model

FLAG = Parameter(negative="")
SEVERAL = Parameter(negative="", consume_multiple=True)

# A class that is made at run time is no type to a type checker.
if TYPE_CHECKING:
    Overrides = BaseModel
else:
    Overrides = override_model()
Overriding = Annotated[Overrides | None, Parameter(name="*")]
"""A section for each part of the configuration, so that every key is a flag."""
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
    list[Literal["tensorboard", "wandb", "mlflow"]] | None,
    Parameter(
        negative="",
        consume_multiple=True,
        help="Pass curves and scores on to these trackers, and no image; each needs its own package.",
    ),
]
Debug = Annotated[bool, Parameter(negative="", help="Show a traceback with an error.")]


def command_line() -> str:
    """The command that is running, as one would type it."""
    return shlex.join(["palimpsest", *sys.argv[1:]])
