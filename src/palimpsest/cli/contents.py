"""The commands with their summaries, so that the list of commands needs no import of the commands themselves."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal

COMMANDS = {
    "audit": "Train a federation, unlearn, prove, defend, verify, attack, score and report.",
    "attack": "Attack proofs of your own federation, or gradients that its server observed.",
    "prove": "Make proofs of unlearning, one gradient difference for each sample, from two checkpoints.",
    "defend": "Apply defenses to a proof file, as a client does before it submits its proofs.",
    "verify": "Verify a proof file as the auditor in the papers does: accept a proof if ||difference|| <= tau.",
    "doctor": "Check the artifacts of an attack before running it; takes the flags of palimpsest attack.",
    "report": "Render a run's report again, or a redacted report that can be shared.",
    "export": "Export a run's scores as CSV, its evidence page as HTML and JSON, and its report as PDF.",
    "runs": "List the runs under a folder with their attacks and scores.",
    "compare": "Compare runs on one page and in one table.",
    "sweep": "Audit every combination of values of chosen keys, and compare the audits.",
    "presets": "List the presets with their descriptions and the paper's table and row.",
    "components": (
        "List attacks, defenses, unlearning methods, models, data sets and all other components, with one line each."
    ),
    "init": "Write a commented configuration file, to be filled in.",
    "purge": "Remove sensitive data from run folders: models, proofs, reconstructions and reports. Scores are kept.",
}
"""The first paragraph of each command's docstring without backticks, by the command's name."""

COMMAND_FORMAT: Literal["markdown"] = "markdown"
"""Format of the docstrings of commands."""

REPRODUCE = "reproduce"
"""The command with a subcommand for each published table and figure."""

EVERYTHING = "--help-all"
"""The flag that shows the flags of all components with their full texts."""

CONFIGURED = ("audit", "sweep", REPRODUCE, "attack", "doctor", "prove")
"""Commands with a flag for every key of a configuration; `palimpsest.api.configurations` has the classes."""


def import_path(name: str) -> str:
    """Return the place of a command's function, in the form `module:function`.

    Args:
        name: A key of `COMMANDS`.
    """
    return f"palimpsest.cli.{name}:{name}"


def import_command(name: str) -> Callable[..., Any]:
    """Import a command's function.

    Args:
        name: A key of `COMMANDS`.
    """
    module, _, function = import_path(name).partition(":")
    return getattr(import_module(module), function)
