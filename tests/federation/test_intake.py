import math

import pytest
import torch

from palimpsest.federation import Intake, Reply, fault

REFERENCE = {"w": torch.zeros(2, 3), "steps": torch.tensor(0)}


def reply(client=0, samples=4, loss=1.0, **changes):
    return Reply(client, samples, {"w": torch.ones(2, 3), "steps": torch.tensor(1)} | changes, loss)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (reply(), None),
        (reply(samples=0), "no data"),
        (Reply(0, 4, {}, 1.0), "empty reply"),
        (reply(w=torch.ones(3, 2)), "wrong shape"),
        (reply(w=torch.ones(2, 3, dtype=torch.float64)), "wrong shape"),
        (reply(extra=torch.ones(1)), "wrong shape"),
        (Reply(0, 4, {"w": torch.ones(2, 3)}, 1.0), "wrong shape"),
        (reply(w=torch.full((2, 3), math.nan)), "not finite"),
        (reply(w=torch.full((2, 3), math.inf)), "not finite"),
        (reply(loss=math.nan), "not finite"),
        (reply(w=torch.full((2, 3), 1e30)), "too large"),
        (reply(w=torch.full((2, 3), -3.4e38)), "too large"),
        (reply(samples=2**40), "too large"),
        (reply(w=torch.full((2, 3), 1e-44)), None),
    ],
)
def test_says_what_is_wrong_with_a_reply(broken, reason):
    assert fault(broken, REFERENCE) == reason


def test_records_used_missing_and_unrequested_replies():
    replies = [reply(0), reply(2, loss=math.nan), reply(9), reply(0), reply(3, samples=12, loss=2.0)]
    intake = Intake(iter(replies), [0, 1, 2, 3], REFERENCE, history=None, round_index=0)
    assert [one.client for one in intake] == [0, 3]
    assert intake.used == [0, 3]
    assert intake.faults == {0: "not asked", 1: "no reply", 2: "not finite", 9: "not asked"}
    assert intake.loss == pytest.approx((4 * 1.0 + 12 * 2.0) / 16)
