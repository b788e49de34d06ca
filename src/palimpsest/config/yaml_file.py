"""Safe reading of YAML files from untrusted sources: keys and values only, within limits on size and depth."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from palimpsest.errors import ConfigurationError

_LARGEST_FILE, _MOST_VALUES, _DEEPEST = 2**20, 2**16, 32
# libyaml's loader is ten times faster, but not every build of PyYAML has it.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _DistinctKeys(_Loader):
    """A loader that refuses repeated keys, of which PyYAML would silently use the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping, or raise a `YAMLError` if a key is repeated."""
        names: set[tuple[str, str]] = set()
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if name in names:
                raise yaml.YAMLError(f"the key {name[1][:80]!r} is repeated{key.start_mark}")
            names.add(name)
        return super().construct_mapping(node, deep=deep)


def read_mapping(path: Path) -> dict[Any, Any]:
    """Read a YAML file of keys and values.

    Aliases are refused, because a few lines of them can expand to more values than fit into memory.

    Args:
        path: A file of at most 1 MiB and 65,536 keys and values, nested at most 32 levels deep.

    Returns:
        The keys and values; empty for an empty file.

    Raises:
        ConfigurationError: The file is missing, too large, not YAML, not a mapping, or has an alias or a repeated key.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ConfigurationError(
                f"{path} has more than {_LARGEST_FILE:,} bytes, the limit for a configuration. Check the path."
            )
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read ({error.strerror}): check the path.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text ({error}). Save it as UTF-8.") from error
    try:
        _check_structure(text)
        tree = yaml.load(text, Loader=_DistinctKeys)
    # PyYAML raises errors of almost any type for a value that contradicts its tag, such as a 13th month.
    except Exception as error:
        place = " ".join(str(error).split())[:300] or type(error).__name__
        raise ConfigurationError(f"{path} is not valid YAML ({place}). Correct that line.") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigurationError(
            f"{path} holds a {type(tree).__name__}, not keys and values. Write lines such as `seed: 1234`."
        )
    return tree


def _check_structure(text: str) -> None:
    """Refuse aliases, deep nesting and endless lists before any value is built."""
    depth = values = 0
    for event in yaml.parse(text, Loader=_Loader):
        values += isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(
                f"the alias *{event.anchor} is not allowed{event.start_mark}; write the value out"
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST or values > _MOST_VALUES:
            raise yaml.YAMLError(
                f"more than {_DEEPEST} levels or {_MOST_VALUES:,} keys and values{event.start_mark}"
            )
