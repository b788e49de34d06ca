"""The studies of defenses, in small."""

import json
import re
from dataclasses import replace
from pathlib import Path

from PIL import Image
from tests.support.studies import TINY

from palimpsest.reproduce import STUDIES, Cell, reproduce
from palimpsest.reproduce.recommendation import recommend


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
    assert conclusion.startswith("Without a defense the attack")
    assert conclusion in table
    assert "is enough" not in table
    assert "None hides" not in table
    tree = json.loads((tmp_path / "defense-frontier.json").read_text())
    assert set(tree["cells"][0]["columns"]) >= {"confirmed", "norm check", "spot check", "accuracy"}
    with Image.open(tmp_path / "defense-frontier.png") as image:
        image.load()
