import pytest
import torch

from palimpsest.errors import UnlearningError
from palimpsest.unlearning import Request, deal_retained


def request() -> Request:
    return Request(
        forgotten={0: torch.tensor([1, 2, 3, 4]), 2: torch.tensor([30, 31])},
        retained=(torch.arange(5, 12), torch.arange(12, 30), torch.arange(32, 40)),
    )


def test_each_batch_is_filled_by_the_client_that_forgets() -> None:
    rows = deal_retained(request(), retained=3, forgotten=2, seed=0).view(3, 3)
    for batch, kept in zip(rows, (0, 0, 2), strict=True):
        assert set(batch.tolist()) <= set(request().retained[kept].tolist())
        assert len(set(batch.tolist())) == 3


def test_the_seed_decides() -> None:
    first, again, other = (deal_retained(request(), retained=3, forgotten=1, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_remainder_is_refused() -> None:
    with pytest.raises(UnlearningError, match="Client 0 forgets 4 samples, which is no multiple"):
        deal_retained(request(), retained=3, forgotten=3, seed=0)


def test_too_few_remaining_samples_are_refused() -> None:
    with pytest.raises(UnlearningError, match="Client 0 keeps 7 samples"):
        deal_retained(request(), retained=8, forgotten=1, seed=0)
