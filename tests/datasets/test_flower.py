import sys

import pytest
import torch

from palimpsest.datasets import FlowerPartition, check_partition
from palimpsest.errors import DatasetError, MissingDependencyError
from palimpsest.randomness import make_generator

# The partitioners warn on their own account, and through pyarrow.
pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore:The sum of partition sizes:UserWarning"
)

LABELS = torch.arange(120) % 4


@pytest.fixture
def installed():
    pytest.importorskip("flwr_datasets", reason="flwr-datasets is not installed")


def deal(clients=6, seed=0, **settings):
    return FlowerPartition(**settings)(LABELS, clients, generator=make_generator(seed))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("partitioner", "arguments"),
    [
        ("IidPartitioner", {}),
        ("LinearPartitioner", {}),
        ("DirichletPartitioner", {"alpha": 0.5, "min_partition_size": 2}),
        ("PathologicalPartitioner", {"num_classes_per_partition": 2}),
        ("ShardPartitioner", {"num_shards_per_partition": 2}),
        ("SizePartitioner", {"partition_sizes": [10, 20, 30, 20, 20, 20]}),
        ("InnerDirichletPartitioner", {"partition_sizes": [20] * 6, "alpha": [0.5, 0.5, 0.5, 0.5]}),
        (
            "DistributionPartitioner",
            {
                "distribution_array": [[0.1, 0.2, 0.3, 0.4]] * 4,
                "num_unique_labels_per_partition": 2,
                "preassigned_num_samples_per_label": 2,
            },
        ),
    ],
)
def test_any_partitioner_by_name(partitioner, arguments):
    clients = 8 if partitioner == "DistributionPartitioner" else 6
    dealt = deal(clients, partitioner=partitioner, partitioner_arguments=arguments)
    check_partition(dealt, clients, rows=120)
    assert sorted(torch.cat(dealt).tolist()) == list(range(120))
    if partitioner == "SizePartitioner":
        assert [len(rows) for rows in dealt] == arguments["partition_sizes"]
    if partitioner == "PathologicalPartitioner":
        assert all(len(LABELS[rows].unique()) <= 2 for rows in dealt)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "settings", [{}, {"partitioner": "DirichletPartitioner", "partitioner_arguments": {"alpha": 1}}]
)
def test_follows_from_the_generator_alone(settings):
    first, again, other = (deal(seed=seed, clients=3, **settings) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.usefixtures("installed")
def test_a_seed_of_ones_own_wins():
    arguments = {"alpha": 1, "min_partition_size": 1, "seed": 7, "shuffle": False}
    sizes = [
        [
            len(rows)
            for rows in deal(seed=seed, partitioner="DirichletPartitioner", partitioner_arguments=arguments)
        ]
        for seed in (1, 2)
    ]
    assert sizes[0] == sizes[1]


@pytest.mark.usefixtures("installed")
def test_an_unknown_partitioner_brings_a_likely_one():
    with pytest.raises(DatasetError, match="did you mean 'DirichletPartitioner'"):
        deal(partitioner="DirichletPartitoner")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("partitioner", "arguments"),
    [
        ("DirichletPartitioner", {}),
        ("IidPartitioner", {"alpha": 1}),
        ("IidPartitioner", {"num_partitions": 0}),
        ("VerticalEvenPartitioner", {}),
        ("Partitioner", {}),
    ],
)
def test_what_the_partitioner_refuses_is_said(partitioner, arguments):
    with pytest.raises(
        DatasetError, match=f"{partitioner} can't deal 120 rows to 6 clients .*partitioner_arguments"
    ):
        deal(partitioner=partitioner, partitioner_arguments=arguments)


@pytest.mark.usefixtures("installed")
def test_a_partitioner_that_loses_rows_is_refused():
    with pytest.raises(DatasetError, match="0 times"):
        deal(partitioner="SizePartitioner", partitioner_arguments={"partition_sizes": [10] * 6})


def test_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "flwr_datasets", None)
    monkeypatch.setitem(sys.modules, "flwr_datasets.partitioner", None)
    with pytest.raises(MissingDependencyError, match="pip install flwr-datasets"):
        deal()
