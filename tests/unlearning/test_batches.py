import pytest
import torch

from palimpsest.errors import UnlearningError
from palimpsest.unlearning import Request, deal_retained


def request() -> Request:
    return Request(
        forgotten={0: torch.tensor([1, 2, 3, 4]), 2: torch.tensor([30, 31])},
        retained=(torch.arange(5, 12), torch.arange(12, 30), torch.arange(32, 40)),
    )


def test_each_batch_has_samples_of_a_single_client() -> None:
    rows = deal_retained(request(), retained=3, forgotten=2, seed=0).view(3, 3)
    for batch, client in zip(rows, (0, 0, 2), strict=True):
        assert set(batch.tolist()) <= set(request().retained[client].tolist())
        assert len(set(batch.tolist())) == 3


def test_depends_only_on_the_seed() -> None:
    first, again, other = (deal_retained(request(), retained=3, forgotten=1, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_rejects_a_remainder() -> None:
    with pytest.raises(UnlearningError, match="Client 0 forgets 4 samples, which is not a multiple"):
        deal_retained(request(), retained=3, forgotten=3, seed=0)


def test_rejects_too_few_retained_samples() -> None:
    with pytest.raises(UnlearningError, match="Client 0 keeps 7 samples"):
        deal_retained(request(), retained=8, forgotten=1, seed=0)
