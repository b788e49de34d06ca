"""The folder of a run whose user named none."""

from hashlib import sha256
from pathlib import Path

from palimpsest.config import RunConfig


def default_folder(name: str, config: RunConfig) -> Path:
    """The run folder of a configuration: the same command finds its unfinished run again."""
    digest = sha256(config.model_dump_json().encode()).hexdigest()[:8]
    return Path("runs") / f"{Path(name).stem}-{digest}"
