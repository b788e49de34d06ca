import pytest
import torch
from torch import Tensor

from palimpsest.config import ScoringConfig
from palimpsest.datasets import ImageSet
from palimpsest.metrics import CrossCorrelation, MeanAbsoluteError, compare, evaluate
from palimpsest.registry import METRICS


def images(count: int, seed: int) -> Tensor:
    return torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(seed))


def test_mae_is_the_mean_absolute_difference() -> None:
    left, right = images(4, 0), images(4, 1)
    expected = [
        sum(abs(a - b) for a, b in zip(x.flatten().tolist(), y.flatten().tolist(), strict=True)) / 432
        for x, y in zip(left, right, strict=True)
    ]
    torch.testing.assert_close(MeanAbsoluteError()(left, right), torch.tensor(expected, dtype=torch.float64))


def test_ncc_is_pearson_correlation_and_ignores_brightness() -> None:
    left, right = images(4, 0), images(4, 1)
    expected = [
        torch.corrcoef(torch.stack([x.flatten(), y.flatten()]).double())[0, 1]
        for x, y in zip(left, right, strict=True)
    ]
    torch.testing.assert_close(CrossCorrelation()(left, right), torch.stack(expected), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(CrossCorrelation()(left * 0.5 + 0.2, left), torch.ones(4, dtype=torch.float64))
    assert CrossCorrelation()(torch.full_like(left, 0.3), left).abs().max() < 1e-6


def test_additional_metrics_are_computed_on_request() -> None:
    originals = ImageSet("some", images(6, 0), torch.zeros(6, dtype=torch.int64), 2)
    auxiliary = ImageSet("others", images(8, 1), torch.zeros(8, dtype=torch.int64), 2)
    generator = torch.Generator().manual_seed(0)
    scores = evaluate(images(6, 2), originals, auxiliary, metrics=["mae"], bootstrap=50, generator=generator)
    assert set(scores.further) == {"mae"}
    mean = scores.reconstruction()["mae"]
    assert scores.intervals["mae"][0] <= mean <= scores.intervals["mae"][1]
    assert scores.baselines["mean_image"]["mae"] < mean
    assert "mae" not in compare(originals.images, originals.images).aggregates()


@pytest.mark.parametrize(("names", "reason"), [(["maa"], "did you mean 'mae'"), (["mae", "mae"], "twice")])
def test_configuration_rejects_wrong_metric_names(names: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ScoringConfig.model_validate({"metrics": names})


def test_every_metric_has_label_meaning_and_direction() -> None:
    for name, metric in METRICS:
        assert metric.label, name
        assert metric.meaning, name
        assert metric.better in ("low", "high")
