import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.attacks.tolerant_linkage import (
    COMBINED,
    WHITENED,
    fit_tolerant_linker,
    linkage_statistics,
    row_space,
)
from palimpsest.defenses import OrthogonalObfuscation
from palimpsest.proofs import fit_statistics, identified
from palimpsest.randomness import make_generator


def world(count, seed, *, dimension=200):
    """Vectors with six large and many small directions, and copies that are altered along the large ones."""
    generator = make_generator(seed, "world")
    directions = torch.randn(6, dimension, generator=make_generator(1))
    small = torch.randn(24, dimension, generator=make_generator(2))
    exact = 3 * torch.randn(count, 6, generator=generator) @ directions
    exact += 0.3 * torch.randn(count, 24, generator=generator) @ small
    altered = exact + 2 * torch.randn(count, 6, generator=generator) @ directions
    return exact, altered


def test_the_row_space_equals_that_of_the_singular_vectors():
    answers = torch.randn(9, 30, generator=make_generator(3)).double()
    basis = row_space(answers, components=4)
    torch.testing.assert_close(basis @ basis.T, torch.eye(4, dtype=torch.float64))
    _, _, expected = torch.linalg.svd(answers - answers.mean(0), full_matrices=False)
    torch.testing.assert_close(basis.T @ basis, expected[:4].T @ expected[:4])
    assert len(row_space(answers)) == 8


def test_whitening_links_copies_that_a_cosine_confuses():
    trial, altered_trial = world(150, 4)
    exact, altered = world(60, 5)
    linker = fit_tolerant_linker(row_space(trial), trial, altered_trial)
    found = linkage_statistics(linker, exact, altered, altered)
    bare = max(identified(scores) for name, scores in found.items() if name not in (WHITENED, COMBINED))
    assert identified(found[WHITENED]) > bare + 0.2
    assert found.keys() == {*fit_statistics(exact, altered, altered), WHITENED, COMBINED}


def test_norm_and_orthogonality_together_link_obfuscated_proofs():
    trial, altered_trial = world(150, 6)
    exact, altered = world(60, 7)
    altered_trial, altered = trial + 0.01 * (altered_trial - trial), exact + 0.01 * (altered - exact)
    defense, generator = OrthogonalObfuscation(), make_generator(8)
    linker = fit_tolerant_linker(row_space(trial), defense(trial, generator=generator), altered_trial)
    proofs = defense(exact, generator=generator)
    found = linkage_statistics(linker, proofs, altered, defense(altered, generator=generator))
    single = max(identified(found[name]) for name in ("norm", "orthogonality"))
    assert identified(found[COMBINED]) > single


@settings(max_examples=10)
@given(st.integers(0, 100))
def test_the_ratio_equals_that_of_gaussian_densities(seed):
    trial, altered_trial = world(40, seed)
    linker = fit_tolerant_linker(row_space(trial, components=5), trial, altered_trial)
    proofs, answers = (rows[:3] for rows in world(3, seed + 1))
    zero = torch.zeros(5, dtype=torch.float64)
    matched, unmatched = (
        torch.distributions.MultivariateNormal(zero, moments)
        for moments in (linker.matched, linker.unmatched)
    )
    differences = (proofs.double()[:, None] - answers.double()) @ linker.basis.T
    expected = matched.log_prob(differences) - unmatched.log_prob(differences)
    scores = linker.scores(proofs, answers)[WHITENED]
    torch.testing.assert_close(scores - scores[0, 0], expected - expected[0, 0], rtol=1e-4, atol=1e-3)
