"""The forgetting study as a whole, with tiny runs."""

import json
from pathlib import Path

import pytest
from tests.support.forgetting import TINY

from palimpsest.errors import ReproductionError
from palimpsest.reproduce import forgetting_study


@pytest.fixture(autouse=True)
def few_shadows(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    module = sys.modules["palimpsest.reproduce.forgetting"]
    for name, value in {"SHADOWS": 2, "UNLEARNED_SHADOWS": 2, "PAIRS": 5}.items():
        monkeypatch.setattr(module, name, value)


def test_writes_tables_and_figure_of_the_chosen_cells(tmp_path: Path):
    rows = forgetting_study(
        out=tmp_path, cells=["mnist-paper/ascent"], seeds=(1, 2), overrides=TINY, command="the command"
    )
    assert [(row.setting, row.method, row.seeds) for row in rows] == [
        ("mnist-paper", method, (1, 2)) for method in ("original", "retrain", "ascent")
    ]
    tree = json.loads((tmp_path / "forgetting.json").read_text())
    assert [cell["name"] for cell in tree["cells"]] == [f"mnist-paper/{row.method}" for row in rows]
    assert "the command" in (tmp_path / "forgetting.md").read_text()
    assert (tmp_path / "forgetting.svg").exists()
    assert (tmp_path / "mnist-paper" / "seed-2" / "membership-ascent.safetensors").exists()


def test_a_setting_that_fails_has_its_reason(tmp_path: Path):
    overrides = {**TINY, "unlearning": {"count": 10_000}}
    with pytest.raises(ReproductionError, match=r"No cell could be computed.*10,000 samples"):
        forgetting_study(out=tmp_path, cells=["mnist-paper/retrain"], overrides=overrides)
    assert "10,000 samples" in (tmp_path / "forgetting.md").read_text()
    assert not (tmp_path / "forgetting.svg").exists()
