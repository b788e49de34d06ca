from pathlib import Path
from typing import Any, Literal

import pytest

import palimpsest as pp
from palimpsest.errors import ConfigurationError


@pytest.mark.parametrize("kind", ["attack", "audit"])
def test_file_is_valid_and_has_every_key(kind: Literal["attack", "audit"], tmp_path: Path) -> None:
    path = pp.init(tmp_path / "case.yaml", kind=kind)
    config: Any = pp.read_artifacts_config(path) if kind == "attack" else pp.read_config(path)
    text = path.read_text()
    assert all(f"{name}:" in text for name in type(config).model_fields)
    assert f"palimpsest {kind} {path}" in text
    assert max(map(len, text.splitlines())) <= 200


def test_refuses_an_existing_file_and_other_names(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_text("mine")
    with pytest.raises(ConfigurationError, match=r"case\.yaml exists .* --overwrite"):
        pp.init(path)
    assert path.read_text() == "mine"
    pp.init(path, overwrite=True)
    assert path.read_text() != "mine"
    with pytest.raises(ConfigurationError, match=r"ends in \.yaml"):
        pp.init(tmp_path / "case.txt")
