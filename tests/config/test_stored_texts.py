"""The serialized configurations, by which finished stages are found, do not change."""

import json

from tests.support.stored_texts import STORED, digests

from palimpsest.config import build_config


def test_presets_and_components_have_the_stored_text() -> None:
    stored, now = json.loads(STORED.read_text(encoding="utf-8")), digests()
    assert len(stored) > 50
    # New components have no stored text yet, because no run folder contains them.
    changed = sorted(name for name, digest in stored.items() if now.get(name) != digest)
    assert not changed, (
        f"The text of {', '.join(changed)} changed, so runs with such a configuration recompute their stages. If that "
        "is intended, update the digests: python -m tests.support.stored_texts."
    )


def test_text_depends_on_the_order_of_the_settings() -> None:
    one = build_config({"attack": {"name": "igf", "epochs": 3, "width": 32}})
    other = build_config({"attack": {"name": "igf", "width": 32, "epochs": 3}})
    assert one == other
    assert one.model_dump_json() != other.model_dump_json()
