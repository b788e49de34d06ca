from pathlib import Path

import torch

from palimpsest.metrics import AggregationMetrics, Metrics, score_group_linkage

LINKAGE = score_group_linkage(
    torch.rand(1, 30, generator=torch.Generator().manual_seed(1)),
    torch.zeros(20, dtype=torch.int64),
    statistic="whitened",
    threshold=0.5,
)


def test_survives_json() -> None:
    metrics = AggregationMetrics(granularity="federation", proofs=1, smallest=20, largest=20, linkage=LINKAGE)
    again = AggregationMetrics.model_validate_json(metrics.model_dump_json())
    assert again == metrics
    assert again.linkage is not None
    assert again.linkage.auc == LINKAGE.auc
    assert again.linkage.auc_other_groups is None


def test_absent_rates_of_a_metrics_file_can_be_read_again(tmp_path: Path) -> None:
    section = AggregationMetrics(granularity="client", proofs=1, smallest=20, largest=20, linkage=LINKAGE)
    metrics = Metrics(attack={}, seconds={}, aggregation=section)
    metrics.save(tmp_path / "metrics.json")
    assert Metrics.load(tmp_path / "metrics.json") == metrics
