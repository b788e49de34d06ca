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
    ours, theirs = images(4, 0), images(4, 1)
    slow = [
        sum(abs(a - b) for a, b in zip(x.flatten().tolist(), y.flatten().tolist(), strict=True)) / 432
        for x, y in zip(ours, theirs, strict=True)
    ]
    torch.testing.assert_close(MeanAbsoluteError()(ours, theirs), torch.tensor(slow, dtype=torch.float64))


def test_ncc_is_pearsons_and_blind_to_light() -> None:
    ours, theirs = images(4, 0), images(4, 1)
    slow = [
        torch.corrcoef(torch.stack([x.flatten(), y.flatten()]).double())[0, 1]
        for x, y in zip(ours, theirs, strict=True)
    ]
    torch.testing.assert_close(CrossCorrelation()(ours, theirs), torch.stack(slow), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(CrossCorrelation()(ours * 0.5 + 0.2, ours), torch.ones(4, dtype=torch.float64))
    assert CrossCorrelation()(torch.full_like(ours, 0.3), ours).abs().max() < 1e-6


def test_they_are_measured_when_asked_for() -> None:
    originals = ImageSet("some", images(6, 0), torch.zeros(6, dtype=torch.int64), 2)
    auxiliary = ImageSet("others", images(8, 1), torch.zeros(8, dtype=torch.int64), 2)
    generator = torch.Generator().manual_seed(0)
    scores = evaluate(images(6, 2), originals, auxiliary, metrics=["mae"], bootstrap=50, generator=generator)
    assert set(scores.further) == {"mae"}
    ours = scores.reconstruction()["mae"]
    assert scores.intervals["mae"][0] <= ours <= scores.intervals["mae"][1]
    assert scores.baselines["mean_image"]["mae"] < ours
    assert "mae" not in compare(originals.images, originals.images).aggregates()


@pytest.mark.parametrize(("names", "reason"), [(["maa"], "did you mean 'mae'"), (["mae", "mae"], "twice")])
def test_a_wrong_name_is_refused_before_anything_runs(names: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ScoringConfig.model_validate({"metrics": names})


def test_each_says_how_to_read_it() -> None:
    for name, metric in METRICS:
        assert metric.label, name
        assert metric.meaning, name
        assert metric.better in ("low", "high")
