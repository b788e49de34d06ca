import re
from typing import Any

import pytest
import yaml

from palimpsest.config import AuditConfig, build_config
from palimpsest.config.template import commented_yaml

GIVEN: dict[str, Any] = {"attack": {"name": "lti"}, "data": {"name": "digits"}}


@pytest.fixture(scope="module")
def text() -> str:
    return commented_yaml(build_config(GIVEN), GIVEN, head="A head.")


def test_reads_as_the_given_keys(text: str) -> None:
    assert text.startswith("# A head.\n\n")
    assert yaml.safe_load(text) == GIVEN
    assert max(map(len, text.splitlines())) <= 120


def test_every_commented_key_can_be_used(text: str) -> None:
    # A commented-out key is the only word before a colon.
    every = re.sub(r"^( *)# ( *[a-z_]+:( .*)?)$", r"\1\2", text, flags=re.MULTILINE)
    tree = yaml.safe_load(every)
    assert tree.keys() == AuditConfig.model_fields.keys()
    assert tree["federation"]["rounds"] == 20
    assert build_config(tree) == build_config(GIVEN)
