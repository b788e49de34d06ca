"""Table of exact recovery on tiny data."""

import json
from pathlib import Path

import pytest

from palimpsest.config import read_config
from palimpsest.errors import ConfigurationError
from palimpsest.reproduce.batch_recovery import CONTENDERS, Contender, batch_recovery_table

TINY = {"data": {"name": "digits", "auxiliary_size": 100, "train_size": 200}, "attack": {"submatrices": 1500}}
ATTACKS = (*CONTENDERS[:1], Contender("cocktail-party", "cocktail-party", {"iterations": 20}, (80,)))


def test_counts_exact_samples_and_whole_batches(tmp_path: Path) -> None:
    config = read_config("mnist-spear", TINY)
    rows = batch_recovery_table(config, out=tmp_path, sizes=(1, 2), widths=(80,), draws=1, contenders=ATTACKS)
    assert [(row.attack, row.width, row.size) for row in rows] == [
        (name, 80, size) for size in (1, 2) for name in ("spear, guided", "cocktail-party")
    ]
    assert all(row.samples.value == row.batches.value == 1 for row in rows[:2])
    assert [row.certified for row in rows[:2]] == [1, None]
    for row in rows:
        assert (row.samples.count, row.batches.count) == (row.size, 1)
        assert row.batches.value <= row.samples.value
        assert (
            (row.submatrices is None) == (row.wrongly_certified is None) == (row.attack == "cocktail-party")
        )
    table = (tmp_path / "batch-recovery.md").read_text()
    assert "| spear, guided | 80 | 1 | 100% (" in table
    assert len(json.loads((tmp_path / "batch-recovery.json").read_text())) == len(rows) == 4


def test_needs_a_model_with_a_width(tmp_path: Path) -> None:
    config = read_config("mnist-dragd")
    with pytest.raises(ConfigurationError, match=r"varies model\.width, which lenet does not have"):
        batch_recovery_table(config, out=tmp_path)
