"""Messages about configurations that fail validation."""

import re

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from palimpsest.config.renamed import new_name
from palimpsest.registry import closest

LONGEST_VALUE = 200
_LONGEST_REASON, _MOST_PROBLEMS = 500, 10
_NUMBER, _INTEGER, _MAPPING = "a number", "an integer", "a mapping in YAML, such as '{{name: value}}'"
_ACCEPTED = {
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_from_float": _INTEGER,
    "int_parsing_size": "an integer with fewer digits",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "string_unicode": "text in UTF-8",
    "path_type": "a path",
    "literal_error": "{expected}",
    "tuple_type": "a list, such as '[a, b]'",
    "list_type": "a list, such as '[a, b]'",
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "greater_than": "a number greater than {gt}",
    "greater_than_equal": "a number greater than or equal to {ge}",
    "multiple_of": "a multiple of {multiple_of}",
    "less_than": "a number less than {lt}",
    "less_than_equal": "a number less than or equal to {le}",
}
"""The accepted values, by pydantic's type of the problem; tests try every key of every component."""
_BRANCH = re.compile(
    r"(int|float|bool|str)$|(literal|tuple|list|dict|union|nullable)\[|constrained-|function-|lax-"
)


def explain_validation(error: ValidationError, keys: list[str] | None = None) -> str:
    """Describe each refused key, its value, and what is accepted, on one line.

    Args:
        error: The error that pydantic raised.
        keys: The accepted keys, from which the closest one to an unknown key is suggested. If None, none is suggested.
    """
    # A value of several accepted types has a problem for each type, under the same key.
    problems: dict[str, list[ErrorDetails]] = {}
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"] if not _is_branch(part))
        problems.setdefault(key, []).append(problem)
    sentences = [_sentence(key, problems[key], keys or []) for key in list(problems)[:_MOST_PROBLEMS]]
    more = len(problems) - _MOST_PROBLEMS
    if more > 0:
        sentences.append(f"and {more:,} more problems")
    return f"{'; '.join(sentence.removesuffix('.') for sentence in sentences)}."


def _is_branch(part: int | str) -> bool:
    """Return whether a part of a location is a type of a union instead of a key."""
    return isinstance(part, str) and _BRANCH.match(part) is not None


def _sentence(key: str, problems: list[ErrorDetails], keys: list[str]) -> str:
    kind, value = problems[0]["type"], problems[0]["input"]
    if kind == "extra_forbidden":
        return unknown_key(key, keys)
    if kind == "missing":
        return f"{key} is missing: give it in a file, or as --{key.replace('_', '-')}"
    reason = " or ".join(dict.fromkeys(map(_reason, problems)))
    reason = f"give {reason.replace('give ', '')}" if reason.startswith("give ") else reason
    if not key:
        return reason
    if isinstance(value, dict | BaseModel):
        return f"{key} is not accepted. {reason}"
    text = repr(value)
    return f"{key} is {text if len(text) <= LONGEST_VALUE else f'{text[:LONGEST_VALUE]}...'}: {reason}"


def _reason(problem: ErrorDetails) -> str:
    """Return what is accepted in place of a value, or the message of our own check."""
    known = _ACCEPTED.get(problem["type"])
    if known is not None:
        return f"give {known.format(**problem.get('ctx', {}))}"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message[:_LONGEST_REASON]


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
