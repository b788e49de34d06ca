import time

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from palimpsest.datasets import DirichletPartition, IidPartition, PathologicalPartition, check_partition
from palimpsest.errors import DatasetError
from palimpsest.randomness import make_generator
from palimpsest.registry import PARTITIONS

labeled = st.lists(st.integers(0, 4), min_size=1, max_size=80).map(torch.tensor)
seeds = st.integers(0, 2**32)


def divide(partition, labels, clients, seed=0):
    client_rows = partition(labels, clients, generator=make_generator(seed))
    # This checks the same as `check_partition`, which is fast, in an obvious way.
    rows = [row for client in client_rows for row in client.tolist()]
    assert sorted(rows) == list(range(len(labels)))
    assert len(client_rows) == clients
    assert all(len(client) and client.dtype == torch.int64 for client in client_rows)
    assert all(torch.equal(client, client.sort().values) for client in client_rows)
    check_partition(client_rows, clients, rows=len(labels))
    return client_rows


def class_counts(client_rows, labels):
    classes = int(labels.max()) + 1
    return torch.stack([torch.bincount(labels[rows], minlength=classes) for rows in client_rows])


@given(labeled, st.integers(1, 20), seeds)
def test_iid_sizes_differ_by_at_most_one(labels, clients, seed):
    assume(clients <= len(labels))
    sizes = {len(rows) for rows in divide(IidPartition(), labels, clients, seed)}
    assert max(sizes) - min(sizes) <= 1


@given(labeled, st.integers(1, 20), st.integers(1, 4), st.floats(1e-3, 1e6), seeds)
def test_dirichlet_respects_the_minimum(labels, clients, minimum, alpha, seed):
    assume(clients * minimum <= len(labels))
    client_rows = divide(DirichletPartition(alpha=alpha, min_samples=minimum), labels, clients, seed)
    assert min(len(rows) for rows in client_rows) >= minimum


@given(labeled, st.integers(1, 20), st.integers(1, 5), seeds)
def test_pathological_gives_each_client_the_same_number_of_classes(labels, clients, number, seed):
    partition = PathologicalPartition(classes_per_client=number)
    sizes = torch.bincount(labels)
    sizes = sizes[sizes > 0]
    feasible = len(sizes) <= clients * number <= int(sizes.clamp(max=clients).sum())
    if not feasible:
        with pytest.raises(DatasetError, match=r"too few|can't hold"):
            partition(labels, clients, generator=make_generator(seed))
        return
    for rows in divide(partition, labels, clients, seed):
        assert len(labels[rows].unique()) == number


def test_pathological_shards_have_about_the_same_size():
    labels = torch.arange(1000) % 10
    client_rows = divide(PathologicalPartition(), labels, 50)
    assert {len(rows) for rows in client_rows} == {20}


def test_pathological_gives_a_large_class_more_clients():
    labels = torch.tensor([0] * 900 + [1] * 50 + [2] * 50)
    counts = class_counts(divide(PathologicalPartition(classes_per_client=1), labels, 20), labels)
    assert (counts > 0).sum(dim=0).tolist() == [18, 1, 1]


def test_dirichlet_alpha_controls_the_concentration():
    labels = torch.arange(4000) % 4

    def largest_share(alpha):
        counts = class_counts(divide(DirichletPartition(alpha=alpha), labels, 10), labels).float()
        return float((counts.max(dim=1).values / counts.sum(dim=1)).mean())

    assert largest_share(1000.0) < 0.3
    assert largest_share(0.05) > 0.5


def test_dirichlet_proportions_have_the_expected_variance():
    # For symmetric Dirichlet proportions p of K clients: var(p) = (K - 1) / (K^2 (K alpha + 1)).
    clients, alpha = 5, 0.5
    labels = torch.arange(200_000) % 200
    counts = class_counts(divide(DirichletPartition(alpha=alpha), labels, clients), labels).float() / 1000
    expected = (clients - 1) / (clients**2 * (clients * alpha + 1))
    assert abs(float(counts.var()) / expected - 1) < 0.1


@pytest.mark.parametrize("name", ["iid", "dirichlet", "pathological"])
def test_depends_on_the_generator_alone(name):
    partition, labels = PARTITIONS.get(name)(), torch.arange(300) % 6
    before = torch.random.get_rng_state()
    first, again, other = (divide(partition, labels, 12, seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    "partition",
    [
        IidPartition(),
        DirichletPartition(),
        DirichletPartition(alpha=1e-3, min_samples=5),
        PathologicalPartition(),
    ],
    ids=str,
)
def test_ten_thousand_clients_take_seconds(partition):
    labels = torch.randint(10, (50_000,), generator=make_generator(0))
    start = time.process_time()
    client_rows = partition(labels, 10_000, generator=make_generator(0))
    # A partition that is quadratic in the clients takes minutes.
    assert time.process_time() - start < 5
    check_partition(client_rows, 10_000, rows=50_000)
    assert len(torch.unique(torch.cat(client_rows))) == 50_000


@pytest.mark.parametrize(
    ("partition", "each"),
    [(IidPartition(), 1), (DirichletPartition(min_samples=3), 3), (PathologicalPartition(), 2)],
    ids=str,
)
def test_rejects_too_few_rows(partition, each):
    with pytest.raises(
        DatasetError, match=f"5 training images are too few for 6 clients with at least {each} each"
    ):
        partition(torch.arange(5) % 2, 6, generator=make_generator(0))


def test_rejects_too_few_clients_for_the_classes():
    with pytest.raises(DatasetError, match="2 clients with 2 classes each can't hold 50 rows of 10 classes"):
        PathologicalPartition()(torch.arange(50) % 10, 2, generator=make_generator(0))


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("inf")])
def test_alpha_must_be_positive_and_finite(alpha):
    with pytest.raises(ValidationError):
        DirichletPartition(alpha=alpha)


@pytest.mark.parametrize(
    ("client_rows", "message"),
    [
        ([[0, 1]], "has 1 clients instead of 2"),
        ([[0, 1, 2], []], "leaves client 1 without images"),
        ([[0, 1], [1, 2]], "has row 1 2 times"),
        ([[0], [2]], "has row 1 0 times"),
        ([[0, 1], [3]], "not int64 from 0 to 2"),
        ([[0, 1], [-1]], "not int64 from 0 to 2"),
    ],
)
def test_rejects_an_invalid_partition(client_rows, message):
    with pytest.raises(DatasetError, match=message):
        check_partition(tuple(torch.tensor(rows, dtype=torch.int64) for rows in client_rows), 2, rows=3)
