import pytest
from tests.support.command_line import json_lines, outcome, run

from palimpsest.registry import DEFENSES


def test_lists_one_line_for_each_component(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(capsys, "components", "defenses")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == DEFENSES.names()
    _, out, _ = outcome(capsys, "components")
    titles = [line for line in out.splitlines() if not line.startswith(" ")]
    assert titles[:2] == ["attacks", "defenses"]


def test_json_and_unknown_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("components", "models", "--json") == 0
    (only,) = json_lines(capsys)
    assert {"kind": "models", "name": "lenet", "package": ""}.items() <= only["components"][1].items()
    code, _, error = outcome(capsys, "components", "atacks")
    assert code == 2
    assert "attacks" in error
