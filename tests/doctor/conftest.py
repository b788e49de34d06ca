from pathlib import Path

import pytest
from tests.support.artifacts import Make, load

from palimpsest.artifacts import Models, load_samples
from palimpsest.datasets import ImageSet


@pytest.fixture
def both(case: Make, here: Path) -> Models:
    models = load(case(), here).models
    assert models is not None
    return models


@pytest.fixture
def truth(pieces: Path) -> ImageSet:
    return load_samples(str(pieces / "forgotten")).samples
