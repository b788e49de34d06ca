import json
from pathlib import Path

from tests.support.studies import tiny_config

from palimpsest.registry import VERIFIERS
from palimpsest.reproduce.verifiers import VerifierRow, markdown, verifier_table


def test_the_table_has_a_row_for_each_party(tmp_path: Path) -> None:
    rows = verifier_table(tiny_config("digits"), out=tmp_path, methods=("ascent",))
    parties = [row.party for row in rows]
    assert parties[:3] == [
        "approximate unlearning: ascent",
        "no unlearning: trained anew, nothing left out",
        "no unlearning: the same model",
    ]
    same = rows[2].areas
    assert same["norm"][0] == 0, "an unchanged model has the smallest proofs, which the norm check likes best"
    assert len(rows) == 8
    assert all(low <= area <= high for row in rows for area, low, high in row.areas.values())
    assert "| forged: zeros |" in (tmp_path / "verifiers.md").read_text()
    assert len(json.loads((tmp_path / "verifiers.json").read_text())) == 8


def test_the_table_lists_the_needs_of_each_verifier() -> None:
    areas = {name: [0.75, 0.5, 1.0] for name, _ in VERIFIERS}
    table = markdown([VerifierRow("forged: zeros", areas)]).splitlines()
    assert table[2] == "| forged: zeros |" + " 0.75 (0.50 to 1.00) |" * len(areas)
    assert sum(line.startswith("- `") for line in table) == len(areas)
