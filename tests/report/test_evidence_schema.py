import json
from typing import Any

import pytest
from pydantic import ValidationError
from tests.support.evidence_pages import crowded_page

from palimpsest.report import Evidence, build_evidence, judge


@pytest.fixture(scope="module")
def tree() -> dict[str, Any]:
    page = crowded_page(further=2)
    return json.loads(json.dumps(build_evidence(page, judge(page)).model_dump(mode="json"), allow_nan=False))


def test_a_written_page_can_be_read_back(tree: dict[str, Any]) -> None:
    assert Evidence.model_validate(tree).model_dump(mode="json") == tree


@pytest.mark.parametrize("change", [{"risk": "harmless"}, {"extra": 1}, {"format": 2}])
def test_refuses_what_it_does_not_know(tree: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Evidence.model_validate(tree | change)
