from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palimpsest.config import read_mapping
from palimpsest.errors import ConfigurationError


def put(folder: Path, text: str | bytes) -> Path:
    path = folder / "file.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_reads_keys_and_values(tmp_path: Path) -> None:
    path = put(tmp_path, "data: {name: digits}\nattack:\n  beta: 0.5\n  name: igf\nlist: [1, two, null]\n")
    assert read_mapping(path) == {
        "data": {"name": "digits"},
        "attack": {"beta": 0.5, "name": "igf"},
        "list": [1, "two", None],
    }
    assert read_mapping(put(tmp_path, "# nothing but a comment\n")) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "holds a list"),
        ("seed: 1\nseed: 2\n", "the key 'seed' is repeated"),
        ("data:\n  name: a\n  name: b\n", "the key 'name' is repeated"),
        ("a: &x [1]\nb: *x\n", "the alias"),
        ("a: " + "[" * 40 + "]" * 40, "levels"),
        ("a: [" + "1," * 70_000 + "]", "keys and values"),
        ("a: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        ("a: {b\n", "not valid YAML"),
        ("a: 2001-13-45\n", "not valid YAML"),
        (b"\xff\xfe\xff", "not UTF-8"),
        ("a: " + "x" * 2**20, "more than"),
    ],
)
def test_rejects_anything_but_keys_and_values(text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_mapping(put(tmp_path, text))


def test_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml can't be read"):
        read_mapping(tmp_path / "absent.yaml")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200))
def test_any_text_is_read_or_rejected_with_a_short_message(text: str, tmp_path: Path) -> None:
    path = put(tmp_path, text.encode("utf-8", "replace"))
    try:
        tree = read_mapping(path)
    except ConfigurationError as error:
        tree = {"refused": str(error)}
    assert isinstance(tree, dict)
    assert len(tree.get("refused", "")) < 1000
