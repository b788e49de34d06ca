import json
from collections import Counter

from tests.support.warnings import Warnings

from palimpsest.datasets.reading import Decoding, ReadingRecord, report_changes
from palimpsest.progress import with_callbacks


def test_a_record_adds_up_and_becomes_json() -> None:
    one = ReadingRecord(
        Decoding(255), Counter({8: 2}), Counter({"orientation ignored": 1}), Counter(hidden=1)
    )
    other = ReadingRecord(Decoding(255), Counter({8: 1, 16: 1}), skipped=Counter(hidden=2))
    assert json.loads((one + other).to_json()) == {
        "images": 4,
        "bit_depth": {"8": 3, "16": 1},
        "white_level": 255,
        "orientation": "ignore",
        "changes": {"orientation ignored": 1},
        "skipped": {"hidden": 3},
    }


def test_each_change_that_loses_something_is_reported_once() -> None:
    warnings = Warnings()
    found = [("transparency dropped", "a"), ("orientation applied", "a"), ("transparency dropped", "b")]
    with with_callbacks(warnings):
        report_changes(found, 1200)
    (message,) = warnings.messages
    assert message.startswith("2 of 1,200 images, such as a, have transparent pixels.")
