"""Settings that were renamed since version 0.1, so that error messages can give the new name."""

RENAMED = {
    "attack.grid": "attack.feature_map_layout",
    "attack.head": "attack.last_linear",
    "attack.inverters": "attack.ensemble_size",
    "attack.mirrored": "attack.horizontal_flip",
    "attack.mixed": "attack.mixup",
    "attack.normalise": "attack.normalize",
    "case": "artifacts",
    "model.initialisation": "model.initialization",
    "observation.remaining": "observation.retained",
    "oracle.kept_as": "oracle.storage_dtype",
    "remaining_truth": "retained_truth",
}


def new_name(key: str) -> str | None:
    """Return the new name of a setting, or None if it was not renamed.

    Args:
        key: A key as in a YAML file, such as `attack.normalise`, or a flag such as `--attack.no-normalise`; a flag's
            new name is a flag too.

    Example:
        >>> new_name("attack.normalise")
        'attack.normalize'
        >>> new_name("--attack.no-normalise")
        '--attack.no-normalize'
    """
    if not key.startswith("--"):
        return RENAMED.get(key)
    section, _, setting = key.removeprefix("--").partition("=")[0].replace("-", "_").rpartition(".")
    prefix = "no_" if setting.startswith("no_") else ""
    found = RENAMED.get(".".join(filter(None, (section, setting.removeprefix("no_")))))
    if found is None:
        return None
    section, _, setting = found.rpartition(".")
    return f"--{'.'.join(filter(None, (section, prefix + setting)))}".replace("_", "-")
