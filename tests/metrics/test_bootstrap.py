import pytest
import torch

from palimpsest.metrics import bootstrap, bootstrap_difference, bootstrap_intervals


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_equals_resampling_each_mean_separately(monkeypatch):
    monkeypatch.setattr(bootstrap, "_BLOCK", 100)  # blocks of 5 resamples
    values = torch.rand(20, 3, generator=seeded(), dtype=torch.float64)
    generator = seeded(1)
    means = []
    for size in (5, 5, 2):
        means += [values[row].mean(dim=0) for row in torch.randint(20, (size, 20), generator=generator)]
    expected = torch.stack(
        [torch.stack(means).quantile(share, dim=0) for share in (0.025, 0.975)],
        dim=1,
    )
    torch.testing.assert_close(bootstrap_intervals(values, resamples=12, generator=seeded(1)), expected)


def test_width_agrees_with_the_central_limit_theorem():
    values = torch.randn(400, 1, generator=seeded(2), dtype=torch.float64)
    low, high = bootstrap_intervals(values, resamples=4000, generator=seeded(3))[0].tolist()
    half = 1.96 * values.std().item() / 20
    assert high - low == pytest.approx(2 * half, rel=0.06)
    assert (low + high) / 2 == pytest.approx(values.mean().item(), abs=0.1 * half)


def test_coverage_of_the_true_mean():
    covered = 0
    for seed in range(200):
        low, high = bootstrap_intervals(
            torch.rand(50, 1, generator=seeded(seed)), resamples=300, generator=seeded(seed + 1000)
        )[0].tolist()
        covered += low <= 0.5 <= high
    assert 180 <= covered <= 198


def test_the_generator_decides():
    values = torch.rand(30, 2, generator=seeded())
    first, again, other = (bootstrap_intervals(values, resamples=50, generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_one_image_gives_an_interval_of_width_zero():
    assert bootstrap_intervals(torch.tensor([[0.25]]), resamples=10, generator=seeded()).tolist() == [
        [0.25, 0.25]
    ]


def test_unpaired_difference_agrees_with_the_central_limit_theorem():
    first = torch.randn(300, generator=seeded(2), dtype=torch.float64)
    second = 2 * torch.randn(150, generator=seeded(3), dtype=torch.float64) + 1
    low, high = bootstrap_difference(first, second, resamples=4000, generator=seeded(4))
    half = 1.96 * (first.var() / 300 + second.var() / 150).sqrt().item()
    assert high - low == pytest.approx(2 * half, rel=0.06)
    assert (low + high) / 2 == pytest.approx((first.mean() - second.mean()).item(), abs=0.1 * half)


def test_unpaired_difference_equals_the_difference_of_separate_resamples():
    first, second = torch.rand(20, generator=seeded(1)).double(), torch.rand(7, generator=seeded(2)).double()
    generator = seeded(5)
    means = [
        torch.stack(
            [
                values[rows].mean()
                for rows in torch.randint(len(values), (9, len(values)), generator=generator)
            ]
        )
        for values in (first, second)
    ]
    expected = (means[0] - means[1]).quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    assert bootstrap_difference(first, second, resamples=9, generator=seeded(5)) == pytest.approx(expected)
