"""A new configuration file, to be filled in."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from palimpsest.api.paths import refuse_existing
from palimpsest.artifacts.config import ArtifactsConfig
from palimpsest.config import AuditConfig, RunConfig
from palimpsest.config.template import commented_yaml
from palimpsest.errors import ConfigurationError
from palimpsest.storage import write_text

Kind = Literal["attack", "audit"]

_ARTIFACTS = {
    "proofs": "proofs.safetensors",
    "auxiliary": "auxiliary/",
    "original": "original.safetensors",
    "unlearned": "unlearned.safetensors",
    "model": "my_package.nets:Net",
}
_HEADS = {
    "attack": """Artifacts of an attack on the proofs of your own federation.
Replace the values of the keys without "#". Remove "#" where the default does not suit.
Then check the artifacts, and run the attack:
    palimpsest doctor {path}
    palimpsest attack {path}""",
    "audit": """Configuration of an audit, which trains a federation, unlearns, and attacks the proofs.
Replace the values of the keys without "#". Remove "#" where the default does not suit.
Then run the audit:
    palimpsest audit {path}""",
}


def init(path: str | PathLike[str], *, kind: Kind = "attack", overwrite: bool = False) -> Path:
    """Write a commented configuration file, to be filled in.

    Args:
        path: The file to write; its name ends in `.yaml`.
        kind: `attack` for the artifacts of your own federation, as `attack` and `doctor` take them; `audit` for the
            configuration of an audit.
        overwrite: Replace an existing file.

    Returns:
        The path.

    Raises:
        ConfigurationError: The file exists, its name does not end in `.yaml`, or there is no such kind.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import palimpsest
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     case = palimpsest.init(Path(folder, "case.yaml"))
        ...     palimpsest.read_artifacts_config(case).auxiliary
        'auxiliary/'
    """
    path = Path(path)
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigurationError(f"{path} is not the name of a YAML file. Give a name that ends in .yaml.")
    if kind not in _HEADS:
        raise ConfigurationError(f"kind is {str(kind)[:80]!r}. Give 'attack' or 'audit'.")
    refuse_existing(path, overwrite=overwrite)
    config, given = _filled(kind)
    write_text(path, commented_yaml(config, given, head=_HEADS[kind].format(path=path)))
    return path


def _filled(kind: Kind) -> tuple[RunConfig, Mapping[str, Any]]:
    """Return a configuration and the keys that a user is expected to change."""
    if kind == "attack":
        artifacts = ArtifactsConfig.model_validate(_ARTIFACTS)
        return artifacts, {**_ARTIFACTS, "attack": {"name": artifacts.attack.name}}
    audit = AuditConfig()
    return audit, {
        "data": {"name": audit.data.name},
        "model": {"name": audit.model.name},
        "unlearning": {"fraction": audit.unlearning.fraction},
        "attack": {"name": audit.attack.name},
    }
