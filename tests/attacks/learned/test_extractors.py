from pathlib import Path

import pytest
import torch
from torch import Tensor

from palimpsest.attacks import AuditorView
from palimpsest.attacks.learned.extractors import (
    LastLinearInputs,
    LastLinearResiduals,
    Reduced,
    fit_reduction,
)
from palimpsest.attacks.learned.last_linear import LastLinear, factorize_rank_two


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_normalization_appends_the_length_as_a_feature(view: AuditorView) -> None:
    vectors = torch.cat([*view.oracle.differences(view.auxiliary.images, view.auxiliary.labels)])
    reduced = fit_reduction(
        vectors, reduction="svd", normalize=True, explained_variance=1.0, generator=generator()
    )
    once, twice = reduced.transform(vectors), reduced.transform(2 * vectors)
    torch.testing.assert_close(once[:, :-1], twice[:, :-1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(once[:, -1].exp() * 2, twice[:, -1].exp())
    torch.testing.assert_close(once[:, -1].exp(), vectors.norm(dim=1))
    assert reduced.transform(torch.zeros(1, 40)).isfinite().all()


@pytest.mark.parametrize("memory_budget", [2**26, 2_000_000])
def test_reduces_signs_and_appends_the_length_of_the_vector(tmp_path: Path, memory_budget: int) -> None:
    latent, weights = torch.randn(2000, 5, generator=generator()), torch.randn(5, 200, generator=generator())
    vectors = latent @ weights * torch.logspace(-3, 3, 200)
    vectors[:, ::7] = 0

    def fit(signs: bool, vectors: Tensor) -> Reduced:
        return fit_reduction(
            vectors,
            reduction="svd",
            normalize=True,
            signs=signs,
            components=5,
            memory_budget=memory_budget,
            folder=tmp_path,
            generator=generator(),
        )

    actual = fit(True, vectors).transform(vectors)
    expected = fit(False, vectors.sign()).transform(vectors.sign())
    # The sign of a direction depends on the budget, but inner products do not.
    actual_products, expected_products = (part[:, :-1] @ part[:, :-1].T for part in (actual, expected))
    torch.testing.assert_close(actual_products, expected_products, rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(actual[:, -1].exp(), vectors.norm(dim=1))
    assert not list(tmp_path.iterdir())


def test_last_linear_features_are_the_factors() -> None:
    layer, vectors = LastLinear(3, 8), torch.randn(6, 40, generator=generator())
    factors = factorize_rank_two(layer, vectors)
    roots = LastLinearInputs(layer).transform(vectors)
    torch.testing.assert_close(roots, factors.features.flatten(1).sqrt())
    torch.testing.assert_close(LastLinearInputs.inputs(roots), factors.features.flatten(1))
    residuals = LastLinearResiduals(layer).transform(vectors)
    torch.testing.assert_close(residuals[:, :6], factors.residuals.flatten(1))
    assert torch.equal(residuals[:, 6:].argmax(1), factors.labels)
    assert LastLinearResiduals(layer, label=False).transform(vectors).shape == (6, 6)
