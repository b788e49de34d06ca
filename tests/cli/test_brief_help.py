"""The help of commands with a hundred flags."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.forked import ForkServer

from palimpsest.cli import main
from palimpsest.registry import ATTACKS

MODULE = '''
"""A user's attack."""

from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import Generator

from palimpsest.attacks import Attack, AuditorView, Knowledge, Reconstruction
from palimpsest.registry import ATTACKS


@ATTACKS.register("first-images")
class FirstImages(Attack):
    """Answer each proof with the first auxiliary image."""

    source: ClassVar[str] = "this test"
    knowledge: ClassVar[frozenset[Knowledge]] = frozenset({Knowledge.PROOFS, Knowledge.AUXILIARY})

    repeats: PositiveInt = 7
    """Number of copies that are averaged."""

    def __call__(self, view: AuditorView, *, generator: Generator) -> Reconstruction:
        """See `Attack`."""
        first = torch.stack([view.auxiliary.images[0]] * self.repeats).mean(0)
        return Reconstruction(images=first.repeat(len(view.proofs), 1, 1, 1), history={}, facts={})
'''


def help_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit, match="0"):
        main([*arguments, "--help"])
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Write a module with an attack to the working directory, and unload it after the test."""
    (tmp_path / "attack_of_a_test.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    ATTACKS.names()
    monkeypatch.setattr(ATTACKS, "_components", dict(ATTACKS._components))
    monkeypatch.setattr(ATTACKS, "_packages", dict(ATTACKS._packages))
    yield "attack_of_a_test"
    sys.modules.pop("attack_of_a_test", None)


@pytest.mark.parametrize(
    ("command", "attack"),
    [("audit", "igf-white"), ("sweep", "igf-white"), ("attack", "igf-white"), ("doctor", "dragd")],
)
def test_help_fits_in_120_lines_of_80_columns(
    command: str, attack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = help_of(capsys, command, "--attack.name", attack).splitlines()
    assert len(lines) <= 120
    assert max(map(len, lines)) <= 80


def test_help_shows_flags_of_the_chosen_components_and_names_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    default = help_of(capsys, "audit")
    assert "Usage: palimpsest audit" in default
    for common in (
        "--seed",
        "--data.name",
        "--federation.rounds",
        "--unlearning.method",
        "--attack.time-budget",
    ):
        assert common in default
    for hidden in ("--attack.matching", "--unlearning.steps", "--federation.proximal-mu", "--observation."):
        assert hidden not in default
    assert "Other attacks: cocktail-party" in default
    assert "Other unlearning methods: ascent" in default
    assert "--attack.name igf-plus --help" in " ".join(default.split())
    chosen = (
        "--attack.name",
        "igf-plus",
        "--unlearning.method=ascent",
        "--federation.aggregation",
        "fedprox",
    )
    other = help_of(capsys, "audit", *chosen)
    for flag in ("Attack: igf-plus", "--attack.matching", "--unlearning.steps", "--federation.proximal-mu"):
        assert flag in other
    assert "--attack.explained-variance" not in other
    assert "--observation.retained" in help_of(capsys, "audit", "--attack.name", "dragd")


def test_help_follows_a_preset_or_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "Attack: dragd" in help_of(capsys, "audit", "mnist-dragd")
    (tmp_path / "artifacts.yaml").write_text("attack: {name: lti}\n")
    assert "Attack: lti" in help_of(capsys, "attack", str(tmp_path / "artifacts.yaml"))
    (tmp_path / "artifacts.yaml").write_text("attack: [\n")
    assert "Attack: strongest" in help_of(capsys, "attack", str(tmp_path / "artifacts.yaml"))


def test_lines_contain_choices_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    lines = help_of(capsys, "audit").splitlines()
    assert any(
        line.split()[0] == "--device" and line.endswith("auto|cpu|cuda [auto]") for line in lines if line
    )
    assert any("--federation.rounds" in line and line.endswith("Rounds of training [20]") for line in lines)


def test_help_all_shows_every_flag_and_all_are_accepted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["audit", "--help-all"])
    output = capsys.readouterr().out
    for flag in (
        "--attack.matching",
        "--unlearning.steps",
        "--federation.proximal-mu",
        "--observation.retained",
    ):
        assert flag in output
    with pytest.raises(SystemExit, match="2"):
        main(["audit", "--out", str(tmp_path / "run"), "--attack.matching", "3"])
    assert "'matching' is not a setting of " in capsys.readouterr().err


def test_help_shows_flags_of_an_imported_component(
    module: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = help_of(capsys, "audit", "--import", module, "--attack.name", "first-images")
    assert "--attack.repeats" in text
    assert "copies that are averaged [7]" in text
    (tmp_path / "mine.yaml").write_text(f"imports: [{module}]\nattack: {{name: first-images}}\n")
    assert "--attack.repeats" in help_of(capsys, "attack", "mine.yaml")
    assert "first-images" in help_of(capsys, "attack", "mine.yaml", "--attack.name", "igf")


@pytest.mark.parametrize("form", ["flag", "file"])
def test_audits_and_records_an_imported_attack(form: str, tmp_path: Path, forked: ForkServer) -> None:
    (tmp_path / "attack_of_a_test.py").write_text(MODULE)
    tiny = "data: {auxiliary_size: 40}\nmodel: {name: lenet}\nfederation: {clients: 4, fraction: 0.5, rounds: 2}\n"
    tiny += "unlearning: {count: 8}\nscoring: {bootstrap: 20}\nattack: {name: first-images}\n"
    (tmp_path / "mine.yaml").write_text(tiny + ("imports: attack_of_a_test\n" if form == "file" else ""))
    flags = ["--import", "attack_of_a_test"] if form == "flag" else []
    command = ["-m", "palimpsest", "audit", "mine.yaml", "--out", "run", "--attack.repeats", "2"]
    done = forked.run(*command, *flags, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    stored = (tmp_path / "run" / "config.yaml").read_text()
    assert "imports:\n- attack_of_a_test\n" in stored
    assert "repeats: 2" in stored
    assert '"attack_of_a_test": "sha256-' in (tmp_path / "run" / "manifest.json").read_text()


def test_reports_a_module_that_can_not_be_imported_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for name, words in (
        ("no_such_module_anywhere", "can't be imported"),
        ("some/file.py", "is not a module's name"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["doctor", "--import", name])
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def test_settings_that_are_rarely_changed_are_left_out_and_accepted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    brief = help_of(capsys, "audit")
    assert "--federation.dp-noise-multiplier" in brief
    for flag in ("--federation.dp-clip", "--federation.attempts"):
        assert flag not in brief
        with pytest.raises(SystemExit, match="0"):
            main(["audit", "--help-all"])
        assert flag in capsys.readouterr().out
