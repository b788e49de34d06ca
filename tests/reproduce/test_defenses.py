"""The studies of defences in small: a few of the frontier's cells, the verifiers and the intersection."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from palimpsest.config import AuditConfig, read_config
from palimpsest.errors import ConfigurationError
from palimpsest.reproduce import STUDIES, Cell, reproduce
from palimpsest.reproduce.intersection import intersection_table
from palimpsest.reproduce.recommendation import recommend
from palimpsest.reproduce.verifiers import verifier_table

TINY: dict[str, Any] = {
    "data": {"name": "digits", "auxiliary_size": 40, "train_size": 200},
    "model": {"name": "convnet", "width": 4},
    "federation": {"clients": 4, "fraction": 1.0, "rounds": 1},
    "unlearning": {"count": 10},
    "attack": {"epochs": 1, "components": 6, "width": 8, "batch_size": 32, "beta": 0},
    "scoring": {"bootstrap": 20},
}


def config(preset: str) -> AuditConfig:
    return read_config(preset, TINY)


def test_the_frontier_has_a_row_a_picture_and_a_conclusion(tmp_path: Path) -> None:
    study = STUDIES["defense-frontier"]
    cells = [Cell(one.name, one.preset, {**TINY, **one.changes}) for one in study.cells()]
    wanted = ["digits-none", "digits-orthogonal", "digits-noise-epsilon-8", "digits-project-64"]
    summaries = reproduce(replace(study, cells=lambda: cells), out=tmp_path, cells=wanted)
    assert [(summary.cell.name, summary.failure) for summary in summaries] == [
        (name, "") for name in sorted(wanted, key=[cell.name for cell in cells].index)
    ]
    table = (tmp_path / "defense-frontier.md").read_text()
    rows = {line.split(" | ")[0].strip("| "): line for line in table.splitlines() if line.startswith("| ")}
    assert re.search(r"100\.0% \(\d\d\.\d% to 100\.0%\)", rows["digits-orthogonal"]), (
        "orthogonality confirms the sample"
    )
    assert "absent" in rows["digits-project-64"], (
        "a projected proof means nothing to who expects another length"
    )
    # One pass of training leaves the attack at chance, and of the conclusions that is the one to be drawn.
    (conclusion,) = recommend(summaries)
    assert conclusion.startswith("Without a defence the attack")
    assert conclusion in table
    assert "is enough" not in table
    assert "None hides" not in table
    tree = json.loads((tmp_path / "defense-frontier.json").read_text())
    assert set(tree["cells"][0]["columns"]) >= {"confirmed", "norm check", "spot check", "accuracy"}
    with Image.open(tmp_path / "defense-frontier.png") as image:
        image.load()


def test_the_verifier_table_has_a_row_for_each_party(tmp_path: Path) -> None:
    rows = verifier_table(config("digits"), out=tmp_path, methods=("ascent",))
    parties = [row.party for row in rows]
    assert parties[:3] == [
        "approximate unlearning: ascent",
        "no unlearning: trained anew, nothing left out",
        "no unlearning: the same model",
    ]
    same = rows[2].areas
    assert same["norm"][0] == 0, "a model that did not change has the best proofs by the papers' check"
    assert len(rows) == 8
    assert all(low <= area <= high for row in rows for area, low, high in row.areas.values())
    assert "| forged: zeros |" in (tmp_path / "verifiers.md").read_text()
    assert len(json.loads((tmp_path / "verifiers.json").read_text())) == 8


def test_intersection_gains_with_fresh_proofs_alone(tmp_path: Path) -> None:
    rows = intersection_table(config("digits-directions"), out=tmp_path, samples=4)
    fresh = {row.proofs: row for row in rows if row.defense == "orthogonal"}
    seeded = {row.proofs: row for row in rows if row.defense == "orthogonal-sample-seeded"}
    assert rows[0].defense == "none"
    assert rows[0].alignment == pytest.approx(1)
    assert list(fresh) == [1, 6, 8, 48, 64, 192]
    assert fresh[192].alignment > max(fresh[1].alignment, 0.8)
    assert len({row.alignment for row in seeded.values()}) == 1
    assert all(row.interval[0] <= row.identified <= row.interval[1] for row in rows)
    table = (tmp_path / "intersection.md").read_text()
    assert "of each sample." in table
    assert re.search(r"\| none \| 1 \| \d+\.0% \(\d+\.\d% to \d+\.\d%\) \|", table)


def test_intersection_needs_directions(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="normalise"):
        intersection_table(config("digits"), out=tmp_path, samples=2)
