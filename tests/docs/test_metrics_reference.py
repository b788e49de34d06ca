import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

from palimpsest.metrics import Metrics
from palimpsest.report import Evidence

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("metrics_reference", DOCS / "metrics_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_schemas_are_up_to_date(reference: ModuleType) -> None:
    assert {path.name for path in reference.SCHEMAS} == {"metrics.schema.json", "evidence.schema.json"}
    for path, kind in reference.SCHEMAS.items():
        assert path.read_text(encoding="utf-8") == reference.json_schema(kind)


@pytest.mark.parametrize(
    ("kind", "some"),
    [
        (Metrics, {"reconstruction.mse", "rates.NAME.low", "forgetting.original.membership.auc"}),
        (Evidence, {"tests.comparisons.NAME.value", "forgetting.risk", "request.NAME", "metrics.NAME"}),
    ],
)
def test_every_key_has_a_meaning(reference: ModuleType, kind: type[BaseModel], some: set[str]) -> None:
    rows = [line.split(" | ") for line in reference.reference_table(kind).splitlines()[2:]]
    assert len(rows) > len(kind.model_fields)
    keys = [row[0].removeprefix("| ").strip("`") for row in rows]
    assert some <= set(keys)
    assert len(keys) == len(set(keys))
    assert [key for key, row in zip(keys, rows, strict=True) if len(row[2].strip(" |")) < 8] == []


@pytest.mark.parametrize("kind", [Metrics, Evidence])
def test_the_schema_describes_every_property(reference: ModuleType, kind: type[BaseModel]) -> None:
    schema = json.loads(reference.json_schema(kind))
    for name, definition in {kind.__name__: schema, **schema["$defs"]}.items():
        for key, field in definition.get("properties", {}).items():
            assert field.get("description"), f"{name}.{key}"


def test_the_page_shows_the_table(reference: ModuleType) -> None:
    page = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
    shown = reference.on_page_markdown(page)
    assert "| `verification.tau` | number | Largest accepted L2 norm of a proof. |" in shown
    assert "<!-- metrics -->" not in shown
    page = (DOCS / "reference" / "evidence.md").read_text(encoding="utf-8")
    assert "| `risk` | text | The residual risk, which follows" in reference.on_page_markdown(page)
