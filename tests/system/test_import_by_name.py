import sys
from pathlib import Path

import pytest

from palimpsest.errors import ConfigurationError
from palimpsest.system.import_by_name import is_reference, load_reference


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("a:b", True),
        ("a.b_c:d.e", True),
        ("a", False),
        ("a:", False),
        (":b", False),
        ("a/b:c", False),
        ("C:\\models", False),
        ("https://host", False),
        ("a:b()", False),
    ],
)
def test_the_form(text: str, right: bool) -> None:
    assert is_reference(text) is right


def test_what_it_names_is_imported_from_the_working_directory_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_reference("pathlib:Path.cwd", what="thing")() == Path.cwd()
    (tmp_path / "mine_alone.py").write_text("def make():\n    return 3\nvalue = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert load_reference("mine_alone:make", what="thing")() == 3
    with pytest.raises(ConfigurationError, match="int, which can't be called"):
        load_reference("mine_alone:value", what="thing")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "form module:name"),
        ("no_such_module_here:make", "ModuleNotFoundError"),
        ("pathlib:Pth", "AttributeError"),
    ],
)
def test_what_can_not_be_imported_is_said_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load_reference(text, what="thing")


def test_torchvision_can_be_named_though_its_operators_may_not_load() -> None:
    assert load_reference("torchvision.models:resnet18", what="model")
