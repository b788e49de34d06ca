from pathlib import Path
from typing import Any

import pytest
import torch

import palimpsest as pp
from palimpsest.api.paths import checked_path, refuse_existing
from palimpsest.errors import ConfigurationError


def test_refuses_each_existing_file(tmp_path: Path) -> None:
    present, absent = tmp_path / "present", tmp_path / "absent"
    present.touch()
    refuse_existing(None, absent, overwrite=False)
    refuse_existing(present, overwrite=True)
    with pytest.raises(ConfigurationError, match=r"present exists and would be replaced.*--overwrite"):
        refuse_existing(absent, present, overwrite=False)


def test_refuses_what_is_no_path() -> None:
    assert checked_path("a/b", "x", remedy="") == Path("a/b")
    with pytest.raises(ConfigurationError, match=r"x is a dict, but must be a name or a path\. Do y"):
        checked_path({}, "x", remedy="Do y.")


@pytest.mark.parametrize(
    "call",
    [
        lambda: pp.attack({"proofs": "p"}),  # pyright: ignore[reportArgumentType]
        lambda: pp.sweep({"seed": 1}, {"seed": [1]}),  # pyright: ignore[reportArgumentType]
        lambda: pp.sweep("digits", 5),  # pyright: ignore[reportArgumentType]
        lambda: pp.compare(["runs/a", "runs/b"]),  # pyright: ignore[reportArgumentType]
        lambda: pp.audit({"seed": 1}),  # pyright: ignore[reportArgumentType]
    ],
)
def test_functions_refuse_mappings_and_lists_in_place_of_paths(call: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"is a (dict|list|int)"):
        call()


def test_existing_files_are_refused_before_any_work(tmp_path: Path) -> None:
    out = tmp_path / "taken"
    out.write_text("mine")
    proofs = pp.Proofs(torch.rand(2, 3))
    (tmp_path / "comparison.md").write_text("mine")
    calls: list[Any] = [
        lambda: pp.defend(proofs, "sign", out=out),
        lambda: pp.verify(proofs, tau=1, out=out),
        lambda: pp.prove("missing", "missing", "missing", model="lenet", out=out),
        lambda: pp.compare(tmp_path / "missing", out=tmp_path),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match="--overwrite"):
            call()
    assert out.read_text() == "mine"
    pp.verify(proofs, tau=1, out=out, overwrite=True)
    assert "accepted" in out.read_text()
