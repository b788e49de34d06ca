from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tests.support.flat_oracle import FlatOracle, small_images

from palimpsest.attacks import AuditorView
from palimpsest.config import build_config
from palimpsest.runs import Run


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """An open run folder for tests of single stages."""
    config = build_config({"data": {"name": "digits"}})
    with Run.open(tmp_path / "stages", config, console=Console(quiet=True)) as opened:
        yield opened


@pytest.fixture
def view() -> AuditorView:
    """An auditor with sixty proofs and an oracle without models."""
    oracle, forgotten = FlatOracle(), small_images(60, seed=2)
    proofs = torch.cat(list(oracle.differences(forgotten.images, forgotten.labels)))
    return AuditorView(proofs, oracle, small_images(240, seed=3), "cpu", 2**30)
