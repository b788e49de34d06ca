import json
from pathlib import Path

import pytest
import torch
from tests.support.studies import TINY

from palimpsest.config import read_config
from palimpsest.reproduce import open_world
from palimpsest.reproduce.open_world import open_world_table


def test_exact_candidates_are_linked_and_altered_ones_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_world, "TRIALS", 20)
    monkeypatch.setattr(
        open_world,
        "ALTERATIONS",
        {name: open_world.ALTERATIONS[name] for name in ("exact", "JPEG 50")},
    )
    monkeypatch.setattr(
        open_world, "COMPARED", {name: open_world.COMPARED[name] for name in ("none", "orthogonal")}
    )
    rows = open_world_table(read_config("digits", TINY), out=tmp_path)
    assert [(row.defense, row.alteration) for row in rows] == [
        (defense, alteration) for defense in ("none", "orthogonal") for alteration in ("exact", "JPEG 50")
    ]
    exact, recompressed, obfuscated, lost = rows
    assert exact.identified[0] == exact.bare[0] == obfuscated.bare[0] == 1
    assert all(rate[0] == 1 for rate in exact.found)
    assert exact.links[0] == 1
    assert recompressed.bare[0] < 1
    assert lost.identified[0] < recompressed.identified[0]
    for row in rows:
        for share, low, high in (row.identified, row.bare, *row.found, row.false_links, row.links):
            assert 0 <= low <= share <= high <= 1
    table = (tmp_path / "linkage-open-world.md").read_text()
    assert "| orthogonal | JPEG 50 |" in table
    assert len(json.loads((tmp_path / "linkage-open-world.json").read_text())) == 4


def test_shares_of_pairs_and_thresholds() -> None:
    scores = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 5.0]])
    assert open_world._first(scores).tolist() == [True, False]
    assert float(open_world._threshold(torch.arange(100.0), 0.05)) == 94
    assert open_world._rate(torch.tensor([True, False]), 2)[0] == 0.5
