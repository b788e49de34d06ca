"""Table of label inference on tiny data."""

import json
from pathlib import Path

from palimpsest.config import read_config
from palimpsest.reproduce.labels import label_table

TINY = {"data": {"name": "digits", "auxiliary_size": 40, "train_size": 120}}


def test_single_classes_are_exact_and_larger_batches_are_harder(tmp_path: Path) -> None:
    config = read_config("digits-dragd", TINY)
    rows = label_table(config, out=tmp_path, samples=20, sizes=(1, 10))
    right = {row.rule.split(":")[0]: row.right for row in rows}
    for rule in ("inferred", "inferred-sign", "inferred-difference"):
        assert right[rule][1].value == 1
    assert right["inferred"][10].value > right["inferred-sign"][10].value
    assert right["inferred"][10].value > right["random classes"][10].value
    assert set(right["auditor"]) == {1}
    table = (tmp_path / "labels.md").read_text()
    assert table.startswith("| forgotten samples in a batch | 1 | 10 |")
    assert len(json.loads((tmp_path / "labels.json").read_text())) == len(rows) == 6
