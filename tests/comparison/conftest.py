from pathlib import Path

import pytest
from tests.support.run_folders import run_folder


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [
        run_folder(tmp_path / "a" / "seed-1", seed=1),
        run_folder(tmp_path / "b" / "seed-1", seed=1, defenses=[{"name": "prune", "ratio": 0.5}]),
    ]
