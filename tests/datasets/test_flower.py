import sys

import pytest
import torch

from palimpsest.datasets import FlowerPartition, check_partition
from palimpsest.errors import DatasetError, MissingDependencyError
from palimpsest.randomness import make_generator

# The partitioners raise warnings themselves and through pyarrow.
pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore:The sum of partition sizes:UserWarning"
)

LABELS = torch.arange(120) % 4


@pytest.fixture
def installed():
    pytest.importorskip("flwr_datasets", reason="flwr-datasets is not installed")


def divide(clients=6, seed=0, **settings):
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
def test_uses_any_partitioner_by_name(partitioner, arguments):
    clients = 8 if partitioner == "DistributionPartitioner" else 6
    partition = divide(clients, partitioner=partitioner, partitioner_arguments=arguments)
    check_partition(partition, clients, rows=120)
    assert sorted(torch.cat(partition).tolist()) == list(range(120))
    if partitioner == "SizePartitioner":
        assert [len(rows) for rows in partition] == arguments["partition_sizes"]
    if partitioner == "PathologicalPartitioner":
        assert all(len(LABELS[rows].unique()) <= 2 for rows in partition)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "settings", [{}, {"partitioner": "DirichletPartitioner", "partitioner_arguments": {"alpha": 1}}]
)
def test_depends_on_the_generator_alone(settings):
    first, again, other = (divide(seed=seed, clients=3, **settings) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.usefixtures("installed")
def test_an_explicit_seed_takes_precedence():
    arguments = {"alpha": 1, "min_partition_size": 1, "seed": 7, "shuffle": False}
    sizes = [
        [
            len(rows)
            for rows in divide(seed=seed, partitioner="DirichletPartitioner", partitioner_arguments=arguments)
        ]
        for seed in (1, 2)
    ]
    assert sizes[0] == sizes[1]


@pytest.mark.usefixtures("installed")
def test_suggests_a_name_for_an_unknown_partitioner():
    with pytest.raises(DatasetError, match="did you mean 'DirichletPartitioner'"):
        divide(partitioner="DirichletPartitoner")


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
def test_reports_errors_of_the_partitioner(partitioner, arguments):
    with pytest.raises(
        DatasetError, match=f"{partitioner} can't divide 120 rows among 6 clients .*partitioner_arguments"
    ):
        divide(partitioner=partitioner, partitioner_arguments=arguments)


@pytest.mark.usefixtures("installed")
def test_rejects_a_partition_that_loses_rows():
    with pytest.raises(DatasetError, match="0 times"):
        divide(partitioner="SizePartitioner", partitioner_arguments={"partition_sizes": [10] * 6})


def test_names_the_missing_dependency(monkeypatch):
    monkeypatch.setitem(sys.modules, "flwr_datasets", None)
    monkeypatch.setitem(sys.modules, "flwr_datasets.partitioner", None)
    with pytest.raises(
        MissingDependencyError, match=r"flwr-datasets .*pip install 'palimpsest-audit\[flower\]'"
    ):
        divide()
