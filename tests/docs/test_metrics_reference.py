import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from palimpsest.metrics import Metrics

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("metrics_reference", DOCS / "metrics_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_schema_is_up_to_date(reference: ModuleType) -> None:
    assert (DOCS / "reference" / "metrics.schema.json").read_text(encoding="utf-8") == reference.json_schema()


def test_every_key_has_a_meaning(reference: ModuleType) -> None:
    rows = [line.split(" | ") for line in reference.metrics_table().splitlines()[2:]]
    assert len(rows) > len(Metrics.model_fields)
    keys = [row[0].removeprefix("| ").strip("`") for row in rows]
    assert {"reconstruction.mse", "rates.NAME.low", "forgetting.original.membership.auc"} <= set(keys)
    assert len(keys) == len(set(keys))
    assert [key for key, row in zip(keys, rows, strict=True) if len(row[2].strip(" |")) < 8] == []


def test_the_schema_describes_every_property(reference: ModuleType) -> None:
    schema = json.loads(reference.json_schema())
    for name, definition in {"Metrics": schema, **schema["$defs"]}.items():
        for key, field in definition.get("properties", {}).items():
            assert field.get("description"), f"{name}.{key}"


def test_the_page_shows_the_table(reference: ModuleType) -> None:
    page = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
    shown = reference.on_page_markdown(page)
    assert "| `verification.tau` | number | Largest accepted L2 norm of a proof. |" in shown
    assert "<!-- metrics -->" not in shown
