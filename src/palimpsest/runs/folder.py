"""The default run folder."""

from hashlib import sha256
from pathlib import Path

from palimpsest.config import RunConfig


def default_folder(name: str, config: RunConfig) -> Path:
    """Return the default run folder of a configuration, so that the same command resumes its run.

    Args:
        name: The preset or the YAML file, which gives the folder its name.
        config: The configuration, whose hash is part of the name.
    """
    digest = sha256(config.model_dump_json().encode()).hexdigest()[:8]
    return Path("runs") / f"{Path(name).stem}-{digest}"
