from pathlib import Path

import pytest
from tests.support.trackers import LOSSES, feed

from palimpsest.progress.trackers.tracker import make_tracker


def test_tensorboard_records_history_and_scores(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    feed(make_tracker("tensorboard"), tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    curve = events.Scalars("inverter/train/loss")
    assert [(point.step, point.value) for point in curve] == list(enumerate(LOSSES, 1))
    assert events.Scalars("reconstruction/mse")[0].value == pytest.approx(0.01)
    text = events.Tensors("configuration/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "digits" in text
    assert "31337" not in text
