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


def test_a_normalized_vector_keeps_its_length_apart(view: AuditorView) -> None:
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
def test_signs_are_reduced_and_the_length_is_the_vectors(tmp_path: Path, memory_budget: int) -> None:
    few, weights = torch.randn(2000, 5, generator=generator()), torch.randn(5, 200, generator=generator())
    vectors = few @ weights * torch.logspace(-3, 3, 200)
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

    found = fit(True, vectors).transform(vectors)
    expected = fit(False, vectors.sign()).transform(vectors.sign())
    # Which way round the directions are found depends on the budget.
    products, wanted = (part[:, :-1] @ part[:, :-1].T for part in (found, expected))
    torch.testing.assert_close(products, wanted, rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(found[:, -1].exp(), vectors.norm(dim=1))
    assert not list(tmp_path.iterdir())


def test_the_head_is_read_out_as_it_was_taken_apart() -> None:
    layer, vectors = LastLinear(3, 8), torch.randn(6, 40, generator=generator())
    factors = factorize_rank_two(layer, vectors)
    roots = LastLinearInputs(layer).transform(vectors)
    torch.testing.assert_close(roots, factors.features.flatten(1).sqrt())
    torch.testing.assert_close(LastLinearInputs.inputs(roots), factors.features.flatten(1))
    read = LastLinearResiduals(layer).transform(vectors)
    torch.testing.assert_close(read[:, :6], factors.residuals.flatten(1))
    assert torch.equal(read[:, 6:].argmax(1), factors.labels)
    assert LastLinearResiduals(layer, label=False).transform(vectors).shape == (6, 6)
