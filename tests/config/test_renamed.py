import pytest

from palimpsest.artifacts import ArtifactsConfig
from palimpsest.config import AuditConfig, Section, new_name
from palimpsest.config.renamed import RENAMED
from palimpsest.registry import ATTACKS, MODELS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("attack.normalise", "attack.normalize"),
        ("attack.normalize", None),
        ("normalise", None),
        ("--attack.normalise", "--attack.normalize"),
        ("--attack.no-head", "--attack.no-last-linear"),
        ("--observation.remaining=3", "--observation.retained"),
        ("--remaining-truth", "--retained-truth"),
        ("--out", None),
        ("--", None),
    ],
)
def test_new_names_of_keys_and_flags(old: str, new: str | None) -> None:
    assert new_name(old) == new


def settings(section: str) -> set[str]:
    if section in ("attack", "model"):
        registry = ATTACKS if section == "attack" else MODELS
        return {name for _, component in registry for name in component.model_fields}
    for config in (AuditConfig, ArtifactsConfig):
        kind = config.model_fields[section].annotation if section in config.model_fields else None
        if isinstance(kind, type) and issubclass(kind, Section) and kind.model_fields.keys() - {"engine"}:
            return set(kind.model_fields)
    raise AssertionError(section)


@pytest.mark.parametrize(("old", "new"), sorted(RENAMED.items()))
def test_new_names_exist_and_old_ones_do_not(old: str, new: str) -> None:
    section, _, name = new.rpartition(".")
    accepted = settings(section) if section else ArtifactsConfig.model_fields.keys() | {"artifacts"}
    assert name in accepted
    assert old.rpartition(".")[2] not in accepted
