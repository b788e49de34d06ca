"""Studies of defenses on tiny data."""

import json
import re
from dataclasses import replace
from pathlib import Path

from PIL import Image
from tests.support.studies import TINY

from palimpsest.reproduce import STUDIES, Cell, reproduce
from palimpsest.reproduce.recommendation import recommend


def test_the_frontier_writes_rows_a_figure_and_a_conclusion(tmp_path: Path) -> None:
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
        "orthogonality reveals which sample a proof belongs to"
    )
    assert "absent" in rows["digits-project-64"], (
        "an attacker that expects another length can't use a projected proof"
    )
    # One epoch of training leaves the attack at chance, so this is the only conclusion.
    (conclusion,) = recommend(summaries)
    assert conclusion.startswith("Without a defense, the attack")
    assert conclusion in table
    assert "is enough" not in table
    assert "No tested defense" not in table
    tree = json.loads((tmp_path / "defense-frontier.json").read_text())
    assert set(tree["cells"][0]["columns"]) >= {"linked", "norm check", "spot check", "accuracy"}
    with Image.open(tmp_path / "defense-frontier.png") as image:
        image.load()
