import pytest

from palimpsest.cli.overrides import given_keys, override_model
from palimpsest.config import AuditConfig, Section
from palimpsest.errors import ConfigurationError


def test_every_key_and_setting_has_a_flag_with_help() -> None:
    model = override_model()
    sections = 0
    for name, info in AuditConfig.model_fields.items():
        kind = info.annotation
        if not (isinstance(kind, type) and issubclass(kind, Section)):
            continue
        sections += 1
        section = model.model_fields[name].annotation
        assert section is not None
        flags = section.model_fields
        assert flags.keys() >= kind.model_fields.keys()
        for registry in kind.selectors.values():
            for _, component in registry:
                assert flags.keys() >= component.model_fields.keys()
        for info_ in flags.values():
            assert any(getattr(extra, "help", "") for extra in info_.metadata)
    assert sections >= 8


def test_returns_only_given_keys() -> None:
    overrides = override_model()(seed=3, federation={"rounds": 5}, defenses="[{name: sign}]")
    assert given_keys(overrides) == {"seed": 3, "federation": {"rounds": 5}, "defenses": [{"name": "sign"}]}
    assert given_keys(None) == {}


def test_rejects_a_list_that_is_not_yaml() -> None:
    with pytest.raises(ConfigurationError, match="not YAML"):
        given_keys(override_model()(defenses="[{"))


def test_memory_is_given_as_text() -> None:
    assert given_keys(override_model()(memory_budget="512MiB")) == {"memory_budget": "512MiB"}
