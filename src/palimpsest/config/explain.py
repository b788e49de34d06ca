"""Messages about configurations that fail validation."""

from pydantic import BaseModel, ValidationError

from palimpsest.config.renamed import new_name
from palimpsest.registry import closest

LONGEST_VALUE = 200
_LONGEST_REASON, _MOST_PROBLEMS = 500, 10


def explain_validation(error: ValidationError, keys: list[str] | None = None) -> str:
    """Describe each refused key, its value, and what is accepted, on one line.

    Args:
        error: The error that pydantic raised.
        keys: The accepted keys, from which the closest one to an unknown key is suggested. If None, none is suggested.
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
        text = repr(problem["input"])
        text = text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
        if not key:
            sentences.append(reason)
        elif isinstance(problem["input"], dict | BaseModel):
            sentences.append(f"{key} is not accepted. {reason}")
        else:
            sentences.append(f"{key} is {text}: {reason}")
    more = error.error_count() - _MOST_PROBLEMS
    if more > 0:
        sentences.append(f"and {more:,} more problems")
    return f"{'; '.join(sentence.removesuffix('.') for sentence in sentences)}."


def unknown_key(key: str, accepted: list[str], section: str = "") -> str:
    """Return the message about an unknown key, with its new name if it was renamed, or else the closest accepted key.

    Args:
        key: The key without its section.
        accepted: The accepted keys of the section; may be empty.
        section: The section's name, such as `attack`; empty at the top level.
    """
    renamed = new_name(".".join(filter(None, (section, key))))
    if renamed is not None:
        return f"{key!r} was renamed: use {renamed.removeprefix(f'{section}.')!r}."
    hint = closest(key, accepted) if accepted else "remove it."
    return f"{key[:LONGEST_VALUE]!r} is not a key{' here' if section else ''}: {hint}"
