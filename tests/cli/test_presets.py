import pytest
from tests.support.command_line import json_lines, outcome, run

from palimpsest.config import preset_names, read_config


def test_lists_presets_with_descriptions(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(capsys, "presets")
    assert code == 0
    lines = out.splitlines()
    assert lines[::2] == preset_names()
    assert "  " + read_config("digits").description in out


def test_json_contains_the_papers_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("presets", "--json") == 0
    (only,) = json_lines(capsys)
    assert [preset["name"] for preset in only["presets"]] == preset_names()
    for preset in only["presets"]:
        config = read_config(preset["name"])
        assert (preset["description"], preset["paper"]) == (config.description, config.paper)
