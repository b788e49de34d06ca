from dataclasses import replace
from typing import Any

import pytest
import torch

from palimpsest.config import AuditConfig, read_config
from palimpsest.datasets import FederatedData, load_data
from palimpsest.errors import UnlearningError
from palimpsest.membership import Pool, draw_splits, make_pool
from palimpsest.membership.pool import Pairs
from palimpsest.randomness import make_generator
from palimpsest.unlearning import Request, make_request

SCENARIOS: list[dict[str, Any]] = [
    {"scenario": "sample", "count": 30},
    {"scenario": "class", "classes": [2]},
    {"scenario": "client", "clients": [1]},
]


def federated(unlearning: dict[str, Any]) -> tuple[FederatedData, Request]:
    keys = {"data": {"train_size": 200, "auxiliary_size": 50}, "federation": {"clients": 4}}
    config = read_config("digits", {**keys, "unlearning": {"count": None, **unlearning}})
    assert isinstance(config, AuditConfig)
    data = load_data(config.data, clients=4, seed=1)
    return data, make_request(config.unlearning, data, seed=1)


def pooled(unlearning: dict[str, Any], count: int = 20) -> tuple[FederatedData, Request, Pool]:
    data, request = federated(unlearning)
    return data, request, make_pool(data, request, count=count, generator=make_generator(1, "test"))


@pytest.mark.parametrize("unlearning", SCENARIOS, ids=lambda keys: keys["scenario"])
def test_members_come_from_the_request_and_nonmembers_from_held_out_samples(unlearning):
    data, request, pool = pooled(unlearning)
    size = len(data.train)
    assert torch.isin(pool.forgotten.members, request.rows).all()
    assert torch.isin(pool.retained.members, request.retained_rows).all()
    classes = data.train.labels[request.rows].unique()
    for pairs in (pool.forgotten, pool.retained):
        assert len(pairs.members) == len(pairs.nonmembers) == len(pairs)
        assert (pairs.nonmembers >= size).all()
        assert torch.equal(pool.owner[pairs.members], pool.owner[pairs.nonmembers])
        assert torch.isin(pool.data.train.labels[pool.rows], classes).all()
    assert len(pool.rows.unique()) == len(pool.rows)
    assert torch.equal(pool.data.train.images[:size], data.train.images)
    held_out = {image.numpy().tobytes() for image in data.held_out.images}
    assert all(image.numpy().tobytes() in held_out for image in pool.data.train.images[size:])


@pytest.mark.parametrize("unlearning", SCENARIOS, ids=lambda keys: keys["scenario"])
def test_the_federation_itself_is_the_split_that_takes_every_member(unlearning):
    data, request, pool = pooled(unlearning)
    everything = (
        torch.ones(len(pool.forgotten), dtype=torch.bool),
        torch.ones(len(pool.retained), dtype=torch.bool),
    )
    shadow, shadow_request = pool.split(*everything)
    for one, other in zip(shadow.clients, data.clients, strict=True):
        assert torch.equal(one, other.sort().values)
    assert torch.equal(shadow_request.rows.sort().values, request.rows.sort().values)


@pytest.mark.parametrize("unlearning", SCENARIOS, ids=lambda keys: keys["scenario"])
def test_a_split_replaces_members_by_their_partners(unlearning):
    data, request, pool = pooled(unlearning)
    generator = torch.Generator().manual_seed(0)
    forgotten = torch.rand(len(pool.forgotten), generator=generator) < 0.5
    retained = torch.rand(len(pool.retained), generator=generator) < 0.5
    shadow, shadow_request = pool.split(forgotten, retained)
    assert [len(rows) for rows in shadow.clients] == [len(rows) for rows in data.clients]
    held, left = torch.cat(shadow.clients), shadow_request.rows
    for pairs, chosen in ((pool.forgotten, forgotten), (pool.retained, retained)):
        assert torch.equal(torch.isin(pairs.members, held), chosen)
        assert torch.equal(torch.isin(pairs.nonmembers, held), ~chosen)
    assert torch.equal(torch.isin(pool.forgotten.members, left), forgotten)
    assert torch.equal(torch.isin(pool.forgotten.nonmembers, left), ~forgotten)
    assert not torch.isin(torch.cat([pool.retained.members, pool.retained.nonmembers]), left).any()
    assert len(left) == len(request.rows)


def test_each_candidate_is_a_member_of_half_of_the_shadow_federations():
    draws = torch.stack(list(draw_splits(50, 8, generator=torch.Generator().manual_seed(0))))
    assert (draws.sum(0) == 4).all()
    assert len({tuple(draw.tolist()) for draw in draws}) == 8


def test_choosing_from_pairs():
    pairs = Pairs(torch.tensor([1, 2]), torch.tensor([8, 9]))
    assert pairs.choose(torch.tensor([True, False])).tolist() == [1, 9]


def test_too_few_held_out_samples():
    data, request = federated({"scenario": "class", "classes": [2]})
    others = data.held_out.subset((data.held_out.labels != 2).nonzero().squeeze(1))
    with pytest.raises(
        UnlearningError, match=r"0 samples of the forgotten classes .* set membership.shadows to 0"
    ):
        make_pool(replace(data, held_out=others), request, count=20, generator=make_generator(1, "test"))
