import pytest
import torch

from palimpsest.errors import UnlearningError
from palimpsest.federation import History, Reply


def test_mean_update_is_weighted_by_the_samples_of_that_round(tmp_path):
    history = History(tmp_path)
    start = {"w": torch.ones(3), "steps": torch.tensor(4)}
    for client, samples in ((0, 1), (5, 3)):
        history.add(
            2, Reply(client, samples, {"w": start["w"] + client, "steps": torch.tensor(9)}, 0.0), start
        )
    mean = history.mean_update(2, [0, 5])
    assert list(mean) == ["w"]
    torch.testing.assert_close(mean["w"], torch.full((3,), 15 / 4))
    assert torch.equal(history.mean_update(2, [5])["w"], torch.full((3,), 5.0))


def test_names_a_missing_update(tmp_path):
    with pytest.raises(UnlearningError, match=r"client 3 in round 1 .* train again with a history folder"):
        History(tmp_path).mean_update(1, [3])
