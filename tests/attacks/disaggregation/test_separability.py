import torch
from tests.support.attack_views import seeded

from palimpsest.attacks.disaggregation.separability import separable_share


def test_separates_the_patterns_of_samples_from_random_ones() -> None:
    features = torch.randn(200, 20, generator=seeded(), dtype=torch.float64)
    normals = torch.randn(6, 20, generator=seeded(1), dtype=torch.float64)
    random = torch.rand(6, 200, generator=seeded(2)) > 0.5
    assert float(separable_share(normals @ features.T > 0, features).min()) > 0.98
    assert float(separable_share(random, features).max()) < 0.8


def test_any_pattern_is_separable_in_as_many_dimensions() -> None:
    features = torch.eye(5, dtype=torch.float64)
    patterns = torch.tensor([[True, False, True, True, False], [False] * 5])
    assert torch.equal(separable_share(patterns, features), torch.ones(2, dtype=torch.float64))
    assert separable_share(patterns[:0], features).shape == (0,)
