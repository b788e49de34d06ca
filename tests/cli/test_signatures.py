"""A command and its Python function have the same parameters and defaults."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import palimpsest as pp
from palimpsest.cli.attack import attack
from palimpsest.cli.audit import audit
from palimpsest.cli.compare import compare
from palimpsest.cli.components import components
from palimpsest.cli.defend import defend
from palimpsest.cli.doctor import doctor
from palimpsest.cli.init import init
from palimpsest.cli.prove import prove
from palimpsest.cli.purge import purge
from palimpsest.cli.report import report
from palimpsest.cli.runs import runs
from palimpsest.cli.sweep import sweep
from palimpsest.cli.verify import verify

COMMANDS = {
    audit: pp.audit,
    attack: pp.attack,
    sweep: pp.sweep,
    prove: pp.prove,
    defend: pp.defend,
    verify: pp.verify,
    doctor: pp.doctor,
    report: pp.report,
    compare: pp.compare,
    runs: pp.runs,
    purge: pp.purge,
    components: pp.components,
    init: pp.init,
}
# JSON, tracebacks and imports belong to a process; the keys of a configuration are `overrides` or keywords in Python.
ONLY_COMMAND = {"machine", "debug", "modules", "overrides"}
# Python's `audit` also takes a configuration, `--with` is a reserved word, and `purge` returns one result.
RENAMED = {(audit, "preset"): "config", (defend, "with_"): "defense", (purge, "runs"): "folder"}
# A command always writes its file; a function returns the value and writes on request.
WRITES_ON_REQUEST = {(prove, "out"), (compare, "out"), (defend, "out")}


def plain(value: Any) -> Any:
    """Return a default so that equal ones compare equal: paths as text, an empty tuple as None."""
    return str(value) if isinstance(value, Path) else None if value == () else value


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_command_and_function_have_the_same_parameters(command: Callable[..., Any]) -> None:
    function = inspect.signature(COMMANDS[command]).parameters
    for name, parameter in inspect.signature(command).parameters.items():
        if name in ONLY_COMMAND:
            continue
        twin = RENAMED.get((command, name), name)
        assert twin in function, f"pp.{command.__name__} has no {twin}"
        if (command, name) not in WRITES_ON_REQUEST:
            assert plain(function[twin].default) == plain(parameter.default), name
