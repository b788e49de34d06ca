import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.datasets.split import split_rows


@given(st.lists(st.integers(0, 4), max_size=60))
def test_splits_every_class(labels):
    labels = torch.tensor(labels, dtype=torch.int64)
    train, test = split_rows(labels)
    assert torch.equal(torch.cat([train, test]).sort().values, torch.arange(len(labels)))
    assert torch.equal(train, train.sort().values)
    assert torch.equal(test, test.sort().values)
    for label in labels.unique():
        count = int((labels == label).sum())
        in_test = int((labels[test] == label).sum())
        assert in_test == (0 if count == 1 else max(1, round(count / 5)))


def test_is_deterministic_and_shuffled():
    labels = torch.arange(100) % 2
    train, test = split_rows(labels)
    assert torch.equal(test, split_rows(labels)[1])
    assert (len(train), len(test)) == (80, 20)
    assert not torch.equal(test, torch.arange(20))


def test_keeps_the_global_random_state():
    before = torch.random.get_rng_state()
    split_rows(torch.arange(10) % 2)
    assert torch.equal(before, torch.random.get_rng_state())
