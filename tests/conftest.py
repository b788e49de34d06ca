import os
from pathlib import Path

import pytest

REASON = "PALIMPSEST_DATA_DIR does not name a folder that mirrors the data sets"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The mirror of the real data sets; without it the test is skipped, and says so."""
    folder = os.environ.get("PALIMPSEST_DATA_DIR", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip(REASON)
    return Path(folder)


@pytest.fixture(scope="session")
def weights_dir(data_dir: Path) -> Path:
    """The pretrained weights beside the mirror; without them the test is skipped, and says so."""
    folder = data_dir.parent / "weights"
    if not folder.is_dir():
        pytest.skip("There is no folder 'weights' beside the data mirror")
    return folder
