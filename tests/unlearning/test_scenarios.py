import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.config import UnlearningConfig
from palimpsest.errors import UnlearningError
from palimpsest.unlearning import make_request

SCENARIOS = [
    {"count": 1},
    {"count": 40},
    {"fraction": 0.2},
    {"fraction": 0.5, "clients": (1, 4)},
    {"count": 7, "clients": (3,)},
    {"indices": (0, 74, 12)},
    {"scenario": "class", "classes": (2,)},
    {"scenario": "class", "classes": (0, 1)},
    {"scenario": "client"},
    {"scenario": "client", "clients": (4, 0)},
]


def unlearning(**settings):
    return UnlearningConfig(**({"scenario": "sample"} | settings))


@pytest.mark.parametrize("settings", SCENARIOS)
def test_forgotten_and_retained_rows_partition_each_client(data, settings):
    request = make_request(unlearning(**settings), data, seed=1)
    for client, rows in enumerate(data.clients):
        forgotten = request.forgotten_by_client[client].tolist()
        retained = request.retained[client].tolist()
        assert sorted(forgotten + retained) == sorted(rows.tolist())
    assert request.clients == tuple(sorted(request.forgotten))
    assert all(len(rows) for rows in request.forgotten.values())
    assert request.rows.dtype == request.owner.dtype == torch.int64
    for row, client in zip(request.rows.tolist(), request.owner.tolist(), strict=True):
        assert row in data.clients[client].tolist()
    assert request.owner.tolist() == sorted(request.owner.tolist())
    assert sorted([*request.rows.tolist(), *request.retained_rows.tolist()]) == list(range(75))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 74), st.integers(0, 2**31))
def test_a_count_is_exact_and_follows_the_seed(data, count, seed):
    request = make_request(unlearning(count=count), data, seed=seed)
    assert len(request.rows) == len(request.rows.unique()) == count
    assert torch.equal(request.rows, make_request(unlearning(count=count), data, seed=seed).rows)


def test_another_seed_chooses_other_samples(data):
    one, other = (make_request(unlearning(count=20), data, seed=seed).rows for seed in (1, 2))
    assert sorted(one.tolist()) != sorted(other.tolist())


def test_samples_come_from_the_chosen_clients_only(data):
    request = make_request(unlearning(fraction=0.5, clients=(1, 4)), data, seed=1)
    assert request.clients == (1, 4)
    assert len(request.rows) == round(0.5 * (15 + 20))


def test_forgets_the_given_indices(data):
    assert sorted(make_request(unlearning(indices=(5, 70)), data, seed=1).rows.tolist()) == [5, 70]


def test_class_level_forgets_the_class_at_every_client(data):
    request = make_request(unlearning(scenario="class", classes=(0, 2)), data, seed=1)
    assert set(data.train.labels[request.rows].tolist()) == {0, 2}
    for rows in request.retained:
        assert set(data.train.labels[rows].tolist()) <= {1}


def test_client_level_forgets_the_papers_third_client_by_default(data):
    request = make_request(unlearning(scenario="client"), data, seed=1)
    assert request.clients == (2,)
    assert len(request.retained[2]) == 0
    assert torch.equal(request.forgotten[2], data.clients[2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "neither count, fraction nor indices"),
        ({"count": 2, "fraction": 0.5}, "count and fraction"),
        ({"count": 76}, r"unlearning.count asks to forget 76 samples.* hold 75\. Set"),
        ({"count": 75}, "forgets every training sample"),
        ({"fraction": 0.001}, "unlearning.fraction asks to forget 0 samples"),
        ({"indices": (75,)}, "row 75, which none"),
        ({"indices": ()}, "indices is empty"),
        ({"count": 1, "clients": (5,)}, "client 5, but the clients are 0 to 4"),
        ({"count": 1, "clients": ()}, "clients is empty"),
        (
            {"scenario": "class", "classes": (3,)},
            "class 3, which has no training sample: choose from 0, 1, 2",
        ),
        ({"scenario": "class", "classes": ()}, "classes is empty"),
        ({"scenario": "class", "classes": (0, 1, 2)}, "forgets every training sample"),
        ({"scenario": "class", "count": 3}, r"unlearning\.count has no effect at class level"),
        ({"scenario": "class", "clients": (1,)}, r"unlearning\.clients has no effect at class level"),
        ({"scenario": "client", "clients": (9,)}, "client 9"),
        ({"scenario": "client", "clients": (0, 1, 2, 3, 4)}, "forgets every training sample"),
        ({"scenario": "client", "fraction": 0.5}, r"unlearning\.fraction has no effect at client level"),
    ],
)
def test_rejects_an_invalid_request(data, settings, message):
    with pytest.raises(UnlearningError, match=message):
        make_request(unlearning(**settings), data, seed=1)


def test_rejects_rows_of_other_clients(data):
    row = int(data.clients[0][0])
    with pytest.raises(UnlearningError, match=f"row {row}, which none of the chosen clients holds"):
        make_request(unlearning(indices=(row,), clients=(1,)), data, seed=1)


def test_rejects_a_leaving_client_without_samples(data):
    import dataclasses

    bare = dataclasses.replace(data, clients=(*data.clients[:4], torch.empty(0, dtype=torch.int64)))
    with pytest.raises(UnlearningError, match="Client 4 holds no samples"):
        make_request(unlearning(scenario="client", clients=(4,)), bare, seed=1)
