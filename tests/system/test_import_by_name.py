import sys
from pathlib import Path

import pytest

from palimpsest.errors import ConfigurationError
from palimpsest.system.import_by_name import is_reference, load_reference


@pytest.mark.parametrize(
    ("text", "expected"),
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
def test_recognizes_references(text: str, expected: bool) -> None:
    assert is_reference(text) is expected


def test_imports_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_reference("pathlib:Path.cwd", what="object")() == Path.cwd()
    (tmp_path / "my_module.py").write_text("def make():\n    return 3\nvalue = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert load_reference("my_module:make", what="object")() == 3
    with pytest.raises(ConfigurationError, match="int, which can't be called"):
        load_reference("my_module:value", what="object")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "form module:name"),
        ("no_such_module_here:make", "ModuleNotFoundError"),
        ("pathlib:Pth", "AttributeError"),
    ],
)
def test_reports_why_an_import_failed(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load_reference(text, what="object")


def test_imports_torchvision_even_if_its_operators_do_not_load() -> None:
    assert load_reference("torchvision.models:resnet18", what="model")


def test_imports_from_a_file_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    (tmp_path / "code").mkdir()
    file = tmp_path / "code" / "nets_in_a_file.py"
    file.write_text("from beside_the_file import SIZE\ndef make():\n    return SIZE\n")
    (tmp_path / "code" / "beside_the_file.py").write_text("SIZE = 3\n")
    assert load_reference(f"{file}:make", what="model")() == 3
    other = tmp_path / "nets_in_a_file.py"
    other.write_text("def make():\n    return 4\n")
    with pytest.raises(ConfigurationError, match="rename the file"):
        load_reference(f"{other}:make", what="model")
    with pytest.raises(ConfigurationError, match="there is no file"):
        load_reference(f"{tmp_path / 'absent.py'}:make", what="model")
