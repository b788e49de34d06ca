"""Why a configuration is refused, in sentences for whoever wrote it."""

from pydantic import BaseModel, ValidationError

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
            key = key[:LONGEST_VALUE]
            sentences.append(f"{key!r} is not a key: {closest(key, keys) if keys else 'leave it out.'}")
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
