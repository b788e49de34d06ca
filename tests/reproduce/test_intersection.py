import re
from pathlib import Path

import pytest
import torch
from tests.support.images import random_images
from tests.support.studies import tiny_config

from palimpsest.errors import ConfigurationError
from palimpsest.metrics import right_ranks
from palimpsest.reproduce.intersection import IntersectionRow, intersection_table, markdown, right_ranks_among


def test_only_fresh_proofs_improve_the_intersection(tmp_path: Path) -> None:
    rows = intersection_table(
        tiny_config("digits-directions", attack={"components": 6}), out=tmp_path, samples=4
    )
    fresh = {row.proofs: row for row in rows if row.defense == "orthogonal"}
    seeded = {row.proofs: row for row in rows if row.defense == "orthogonal-sample-seeded"}
    assert rows[0].defense == "none"
    assert rows[0].alignment == pytest.approx(1)
    assert list(fresh) == [1, 6, 8, 48, 64, 192]
    assert fresh[192].alignment > max(fresh[1].alignment, 0.8)
    assert len({row.alignment for row in seeded.values()}) == 1
    assert all(row.interval[0] <= row.identified <= row.interval[1] for row in rows)
    table = (tmp_path / "intersection.md").read_text()
    assert "80 % of the rate without a defense" in table
    assert re.search(r"\| none \| 1 \| \d+\.0% \(\d+\.\d% to \d+\.\d%\) \|", table)


def test_requires_normalized_proofs(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="normalize"):
        intersection_table(tiny_config("digits"), out=tmp_path, samples=2)


def test_ranks_are_among_all_forgotten_images() -> None:
    forgotten, images = random_images(9, 1, 4, 4), random_images(4, 1, 4, 4, seed=1)
    ranks = right_ranks_among(images, forgotten)
    distances = torch.cdist(images.flatten(1), forgotten.flatten(1))
    expected = [1 + int((row < row[index]).sum()) for index, row in enumerate(distances)]
    assert ranks.tolist() == expected
    assert torch.equal(right_ranks_among(forgotten, forgotten), right_ranks(forgotten, forgotten))


@pytest.mark.parametrize(
    ("last", "sentence"), [(0.75, "first reached with 64 proofs of each sample"), (0.5, "not reached")]
)
def test_the_table_names_the_number_of_proofs_that_undoes_the_defense(last: float, sentence: str) -> None:
    rows = [
        IntersectionRow(defense, proofs, identified, (0.25, 1.0), 0.125, 0.01, 0.5)
        for defense, proofs, identified in (("none", 1, 0.75), ("sign", 1, 0.25), ("sign", 64, last))
    ]
    assert f"80 % of the rate without a defense (60.0%) was {sentence}." in markdown(rows)
