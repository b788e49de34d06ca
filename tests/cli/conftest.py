import functools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from docstring_parser.attrdoc import AttributeDocstrings

from palimpsest.config import read_config


@pytest.fixture(scope="session", autouse=True)
def _sources_are_parsed_once() -> Iterator[None]:
    """Parse the source of each class once. For every section of flags, help parses all of pydantic's `BaseModel`."""
    read = functools.cache(functools.partial(AttributeDocstrings.get_attr_docs, AttributeDocstrings()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AttributeDocstrings, "get_attr_docs", lambda _, component: dict(read(component)))
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Create a folder with a finished and an interrupted run, with the files that tables read."""
    for name, mse in (("one", 0.02), ("two", None)):
        place = tmp_path / "runs" / name
        place.mkdir(parents=True)
        config = read_config("digits").model_dump(mode="json")
        manifest = {"config": config, "versions": {}, "threads": 1, "stages": {}}
        (place / "manifest.json").write_text(json.dumps(manifest))
        if mse:
            scores = {"mse": mse, "identification_top1": 0.5, "identification_top5": 1.0, "count": 10}
            metrics = {"attack": {}, "seconds": {}, "reconstruction": scores}
            (place / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path / "runs"


@pytest.fixture
def run_copy(finished_audit: Path, tmp_path: Path) -> Path:
    """Copy a finished audit's folder, so that tests can change it."""
    return shutil.copytree(finished_audit, tmp_path / "copy")
