import pytest
from tests.support.command_line import json_lines, outcome, run

from palimpsest.config import preset_names, read_config


def test_presets_are_listed_with_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(capsys, "presets")
    assert code == 0
    lines = out.splitlines()
    assert lines[::2] == preset_names()
    assert "  " + read_config("digits").description in out


def test_presets_for_machines_name_the_papers_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("presets", "--json") == 0
    (only,) = json_lines(capsys)
    assert [one["name"] for one in only["presets"]] == preset_names()
    for one in only["presets"]:
        config = read_config(one["name"])
        assert (one["description"], one["paper"]) == (config.description, config.paper)
