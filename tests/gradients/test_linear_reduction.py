import torch

from palimpsest.gradients.linear_reduction import Additive, Factored
from palimpsest.reduction import CountSketch, FactoredProjection, fit_projection


def test_reductions_have_the_protocols() -> None:
    generator = torch.Generator().manual_seed(0)
    count = CountSketch.draw(20, 5, generator=generator)
    factored = FactoredProjection.draw([(4, 5)], 5, generator=generator)
    fitted = fit_projection(torch.randn(6, 20, generator=generator), generator=generator)
    assert all(isinstance(reduction, Additive) for reduction in (count, factored, fitted))
    assert [isinstance(reduction, Factored) for reduction in (count, factored, fitted)] == [
        False,
        True,
        False,
    ]
