import torch
from tests.support.attack_views import seeded
from tests.support.relu_gradients import ReluGradient

from palimpsest.attacks.disaggregation.kernels import KernelSampler
from palimpsest.attacks.disaggregation.low_rank import factorize

NONE = torch.zeros(0, 3, dtype=torch.float64)


def test_proposes_the_zeros_of_each_sample() -> None:
    batch = ReluGradient.random()
    sampler = KernelSampler(factorize(batch.gradient, 3), None, sparsity=0.25, generator=seeded())
    proposed = sampler.draw(400, NONE)
    for zeros in batch.zeros:
        assert (proposed == zeros).all(dim=1).sum() == 1
    counts = proposed.sum(dim=1)
    assert torch.equal(counts, counts.sort(descending=True).values)


def test_leaves_out_known_directions() -> None:
    batch = ReluGradient.random()
    factors = factorize(batch.gradient, 3)
    left = factors.left
    known = torch.linalg.svd(left[batch.zeros[0]]).Vh[-1:]
    proposed = KernelSampler(factors, None, sparsity=0.25, generator=seeded()).draw(400, known)
    assert not (proposed == batch.zeros[0]).all(dim=1).any()
    assert (proposed == batch.zeros[1]).all(dim=1).any()


def test_requires_a_share_of_zeros() -> None:
    batch = ReluGradient.random()
    factors = factorize(batch.gradient, 3)
    assert not len(KernelSampler(factors, None, sparsity=0.9, generator=seeded()).draw(400, NONE))


def test_guidance_draws_from_units_of_little_activity() -> None:
    batch = ReluGradient.random(units=200)
    activity = torch.linspace(0, 1, 200)
    sampler = KernelSampler(factorize(batch.gradient, 3), activity, sparsity=0.25, generator=seeded())
    drawn = torch.cat([sampler._rows(20) for _ in range(50)])
    assert all(len(set(rows)) == 3 for rows in drawn.tolist())
    assert float(activity[drawn].median()) < 0.2
    assert float(activity[drawn].max()) > 0.8
