from pathlib import Path

import pytest
from tests.support.forked import ForkServer

import palimpsest as pp
from palimpsest.errors import ConfigurationError
from palimpsest.registry import ATTACKS, DEFENSES


def test_lists_every_component_with_its_first_line() -> None:
    listed = pp.components()
    assert {(one.kind, one.name) for one in listed} >= {
        *(("attacks", name) for name in ATTACKS.names()),
        *(("defenses", name) for name in DEFENSES.names()),
        ("data", "cifar10"),
        ("data", "digits"),
    }
    assert all(one.summary for one in listed)
    assert [one for one in listed if one.kind == "models"] == list(pp.components("models"))


def test_refuses_an_unknown_kind() -> None:
    with pytest.raises(ConfigurationError, match="'atacks': did you mean 'attacks'"):
        pp.components("atacks")  # pyright: ignore[reportArgumentType]


def test_lists_components_of_an_imported_module(tmp_path: Path, forked: ForkServer) -> None:
    text = (
        "from palimpsest.defenses import row_by_row, Defense\nfrom palimpsest.registry import DEFENSES\n"
        "@DEFENSES.register('shout')\nclass Shout(Defense):\n    'Double each proof.'\n"
        "    def defend(self, vectors, *, generator):\n        return 2 * vectors\n"
    )
    (tmp_path / "shouting.py").write_text(text)
    command = ["-m", "palimpsest", "components", "defenses", "--import", "shouting"]
    done = forked.run(*command, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.split()[0] == "shout"]
    assert "Double each proof. (shouting sha256-" in line
