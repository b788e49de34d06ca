"""YAML that a stranger may have written: keys and values, and none of what makes YAML a programming language."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from palimpsest.errors import ConfigurationError

_LARGEST, _MOST_VALUES, _DEEPEST = 2**20, 2**16, 32
# libyaml's loader is ten times as fast; PyYAML is also built without it.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _DistinctKeys(_Loader):
    """Refuses a key that comes twice, of which PyYAML would silently take the second."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """See `yaml.SafeLoader`."""
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if name in seen:
                raise yaml.YAMLError(f"the key {name[1][:80]!r} comes twice, again{key.start_mark}")
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


def read_mapping(path: Path) -> dict[Any, Any]:
    """Read a YAML file of keys and values; an empty one has none.

    Aliases are refused: a few lines of them stand for more values than memory holds, and no configuration needs one.

    Args:
        path: At most 1 MiB and 65,536 keys and values, nested at most 32 levels deep.

    Raises:
        ConfigurationError: The file is missing, too large, not YAML, no mapping, or has an alias or a repeated key.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigurationError(f"{path} has more than {_LARGEST:,} bytes: a configuration is shorter.")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read ({error.strerror}): check the path.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text ({error}): save it as such.") from error
    try:
        _refuse_programs(text)
        tree = yaml.load(text, Loader=_DistinctKeys)
    # A value that contradicts its tag, such as a 13th month, leads PyYAML into errors of almost any type.
    except Exception as error:
        place = " ".join(str(error).split())[:300] or type(error).__name__
        raise ConfigurationError(f"{path} is not YAML that can be read ({place}): mend that line.") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigurationError(
            f"{path} holds a {type(tree).__name__}, not keys and values: see `palimpsest presets`."
        )
    return tree


def _refuse_programs(text: str) -> None:
    """Refuse aliases, deep nesting and endless lists before anything is built of them."""
    depth = values = 0
    for event in yaml.parse(text, Loader=_Loader):
        values += isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"an alias, *{event.anchor},{event.start_mark}: write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST or values > _MOST_VALUES:
            raise yaml.YAMLError(
                f"more than {_DEEPEST} levels or {_MOST_VALUES:,} keys and values{event.start_mark}"
            )
