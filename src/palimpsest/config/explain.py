"""Why a configuration is refused, in sentences for whoever wrote it."""

from pydantic import BaseModel, ValidationError

from palimpsest.config.renamed import new_name
from palimpsest.registry import closest

LONGEST_VALUE = 200
_LONGEST_REASON, _MOST_PROBLEMS = 500, 10


def explain_validation(error: ValidationError, keys: list[str] | None = None) -> str:
    """Each key that was refused, its value, and what is accepted, on one line.

    Args:
        error: What pydantic found.
        keys: Those that there are, to name the nearest; none where there are none to choose from.
    """
    sentences = []
    for problem in error.errors(include_url=False)[:_MOST_PROBLEMS]:
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            sentences.append(unknown_key(key, keys or []))
            continue
        if problem["type"] == "missing":
            sentences.append(f"{key} is missing: give it in a file, or as --{key.replace('_', '-')}")
            continue
        reason = problem["msg"].removeprefix("Value error, ")[:_LONGEST_REASON]
        if problem["type"] == "dict_type":
            reason = "give a mapping in YAML, such as '{name: value}'"
        shown = repr(problem["input"])
        shown = shown if len(shown) <= LONGEST_VALUE else f"{shown[:LONGEST_VALUE]}..."
        value = "" if isinstance(problem["input"], dict | BaseModel) else f" is {shown}"
        sentences.append(f"{key}{value}: {reason}" if key else reason)
    more = error.error_count() - _MOST_PROBLEMS
    return "; ".join([*sentences, *([f"and {more:,} more like these"] if more > 0 else [])])


def unknown_key(key: str, accepted: list[str], section: str = "") -> str:
    """The sentence that refuses an unknown key: its new name if it was renamed, or else a likely name.

    Args:
        key: The key, without its section.
        accepted: The section's keys; may be empty.
        section: The section's name, such as `attack`; empty at the top level.
    """
    renamed = new_name(".".join(filter(None, (section, key))))
    if renamed is not None:
        return f"{key!r} was renamed: use {renamed.removeprefix(f'{section}.')!r}."
    hint = closest(key, accepted) if accepted else "remove it."
    return f"{key[:LONGEST_VALUE]!r} is not a key{' here' if section else ''}: {hint}"
