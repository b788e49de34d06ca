"""The texts of configurations, which finished stages are found by, stay as they are."""

import json

from tests.support.stored_texts import STORED, digests

from palimpsest.config import build_config


def test_the_text_of_every_preset_and_component_is_the_stored_one() -> None:
    stored, now = json.loads(STORED.read_text(encoding="utf-8")), digests()
    assert len(stored) > 50
    # A new component has no run folder yet: only what is stored has to stay.
    changed = sorted(name for name, digest in stored.items() if now.get(name) != digest)
    assert not changed, (
        f"The text of {', '.join(changed)} changed: run folders that hold such a configuration compute their stages "
        "anew. If that is intended, write the digests anew: python -m tests.support.stored_texts."
    )


def test_the_text_follows_the_order_in_which_settings_were_given() -> None:
    one = build_config({"attack": {"epochs": 3, "width": 32}})
    other = build_config({"attack": {"width": 32, "epochs": 3}})
    assert one == other
    assert one.model_dump_json() != other.model_dump_json()
