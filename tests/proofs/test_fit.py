import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.proofs import fit_statistics, identified
from palimpsest.proofs.fit import row_norms
from palimpsest.randomness import make_generator

ANSWERS = torch.randn(6, 50, generator=make_generator(1))


@given(st.integers(0, 2**31), st.integers(1, 300))
def test_statistics_equal_a_reference_implementation(seed: int, count: int) -> None:
    generator = make_generator(seed)
    proofs = torch.randn(count, 50, generator=generator)
    imitations = torch.randn(6, 50, generator=generator)
    statistics = fit_statistics(proofs, ANSWERS, imitations)
    row, column = count - 1, 4
    proof, answer, imitation = proofs[row].double(), ANSWERS[column].double(), imitations[column].double()
    aligned = torch.cosine_similarity(proof, answer, 0)
    expected = {
        "imitation": torch.cosine_similarity(proof, imitation, 0),
        "alignment": aligned,
        "orthogonality": -aligned.abs(),
        "norm": -(proof.norm().log() - imitation.norm().log()).abs(),
    }
    assert statistics.keys() == expected.keys()
    for name, value in expected.items():
        assert statistics[name].shape == (count, 6)
        torch.testing.assert_close(statistics[name][row, column], value)


@given(st.integers(0, 2**31), st.integers(1, 300))
def test_paired_statistics_are_the_diagonal(seed: int, count: int) -> None:
    generator = make_generator(seed)
    proofs, answers, imitations = (torch.randn(count, 50, generator=generator) for _ in range(3))
    whole = fit_statistics(proofs, answers, imitations)
    paired = fit_statistics(proofs, answers, imitations, paired=True)
    assert paired.keys() == whole.keys()
    for name, values in whole.items():
        torch.testing.assert_close(paired[name], values.diagonal())
        assert torch.equal(fit_statistics(proofs, answers, imitations, only=name)[name], values)


def test_distinguishes_orthogonal_from_nearly_orthogonal_proofs() -> None:
    answer = torch.randn(1, 5000, generator=make_generator(2)).double()
    proofs = torch.randn(2, 5000, generator=make_generator(3)).double()
    proofs -= (proofs @ answer.T) / answer.square().sum() * answer
    proofs[1] += 1e-7 * answer[0]
    scores = fit_statistics(proofs, answer, answer, only="orthogonality")["orthogonality"]
    assert scores[0, 0] > -1e-15
    assert scores[1, 0] < -9e-8


def test_compares_proofs_of_another_length_only_with_imitations() -> None:
    short = torch.randn(3, 8)
    assert fit_statistics(short, ANSWERS, torch.randn(6, 8)).keys() == {"imitation", "norm"}


def test_statistics_of_zeros_are_finite() -> None:
    statistics = fit_statistics(torch.zeros(2, 50), ANSWERS, torch.zeros(6, 50))
    assert all(values.isfinite().all() for values in statistics.values())


def test_a_tie_is_not_an_identification() -> None:
    assert identified(torch.eye(3)) == 1
    assert identified(torch.ones(3, 3)) == 0
    assert identified(torch.tensor([[2.0, 1.0], [3.0, 1.0]])) == 0.5


@given(st.integers(0, 2**31), st.sampled_from([1e-38, 1e-20, 1e-3, 1.0, 1e15, 1e30]))
def test_norms_are_precise_at_every_scale(seed: int, size: float) -> None:
    vectors = size * torch.randn(3, 5000, generator=make_generator(seed))
    vectors[1] = 0
    expected = torch.linalg.vector_norm(vectors.double(), dim=1)
    torch.testing.assert_close(row_norms(vectors), expected, rtol=1e-12, atol=0)


def test_a_row_that_is_not_finite_has_no_finite_norm() -> None:
    norms = row_norms(torch.tensor([[1.0, torch.inf], [torch.nan, 1.0], [3.0, 4.0]]))
    assert norms.isfinite().tolist() == [False, False, True]


def test_rejects_mismatched_lengths_and_pairs() -> None:
    proofs = torch.rand(2, 1024)
    with pytest.raises(ValueError, match="zip"):
        fit_statistics(proofs, proofs, torch.rand(2, 512), only="imitation")
    with pytest.raises(ValueError, match="zip"):
        fit_statistics(torch.rand(16, 6), torch.rand(40, 6), torch.rand(40, 6), only="imitation", paired=True)
