import pytest
import torch

from palimpsest.defenses import apply_defenses
from palimpsest.proofs import Evidence, NormCheck, RangeCheck, SpotCheck, Submission, SubspaceCheck
from palimpsest.randomness import make_generator
from palimpsest.registry import DEFENSES, VERIFIERS


def samples(count: int, seed: int) -> torch.Tensor:
    """Return differences of varying norm that lie near five directions."""
    directions = torch.randn(5, 60, generator=make_generator(1))
    generator = make_generator(seed)
    return torch.randn(count, 5, generator=generator) @ directions + 0.01 * torch.randn(
        count, 60, generator=generator
    )


def evidence(*defenses: str) -> Evidence:
    components = [DEFENSES.get(name)() for name in defenses]

    def defended(vectors: torch.Tensor, seed: int) -> torch.Tensor:
        return apply_defenses(vectors, components, generator=make_generator(seed))

    answers = samples(12, 3)
    return Evidence(defended(samples(60, 2), 4), answers, defended(answers, 5), defended(answers, 6))


def submission(proofs: torch.Tensor, responses: torch.Tensor | None = None) -> Submission:
    return Submission(proofs, samples(12, 3) if responses is None else responses)


@pytest.mark.parametrize("name", VERIFIERS.names())
def test_scores_each_proof_or_response(name: str) -> None:
    scores = VERIFIERS.get(name)().prepare(evidence())(submission(samples(20, 7)))
    assert scores.shape == ((12,) if name == "spot-check" else (20,))
    assert scores.isfinite().all()
    assert VERIFIERS.get(name).needs


def test_the_norm_check_prefers_zeros() -> None:
    check = NormCheck().prepare(evidence())
    proofs = torch.cat([torch.zeros(1, 60), samples(5, 7)])
    assert check(submission(proofs)).argmin() == 0
    torch.testing.assert_close(check(submission(proofs)), proofs.double().norm(dim=1))


def test_the_range_check_suspects_short_and_long_proofs() -> None:
    check = RangeCheck().prepare(evidence())
    usual = check(submission(samples(40, 7)))
    for factor in (0.0, 1e-3, 1e3):
        assert check(submission(factor * samples(40, 8))).min() > usual.max()


def test_the_subspace_check_suspects_unusual_directions() -> None:
    check = SubspaceCheck().prepare(evidence())
    honest = check(submission(samples(40, 7)))
    assert honest.max() < 0.1
    assert check(submission(torch.randn(40, 60, generator=make_generator(9)))).min() > 0.5
    assert check(submission(torch.zeros(1, 60))) == 1
    for factor in (1e-3, 100):
        scaled = check(submission(factor * samples(40, 7)))
        torch.testing.assert_close(scaled, honest, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("defense", [None, "sign", "orthogonal", "norm-only"])
def test_the_spot_check_recognizes_defended_proofs(defense: str | None) -> None:
    defenses = [defense] if defense else []
    gathered = evidence(*defenses)
    check = SpotCheck().prepare(gathered)
    components = [DEFENSES.get(name)() for name in defenses]
    honest = apply_defenses(gathered.answers, components, generator=make_generator(77))
    trusted = check(submission(honest, honest))
    forged = torch.randn(12, 60, generator=make_generator(8))
    assert trusted.max() < check(submission(forged, forged)).min()
    assert trusted.max() < check(submission(honest, honest.roll(1, 0))).min()


def test_the_range_score_is_the_standardized_distance_from_the_median_log_norm() -> None:
    gathered, proofs = evidence(), samples(9, 7)
    usual = gathered.reference.double().norm(dim=1).log()
    expected = ((proofs.double().norm(dim=1).log() - usual.median()) / usual.std()).abs()
    torch.testing.assert_close(RangeCheck().prepare(gathered)(submission(proofs)), expected)


def test_the_subspace_is_spanned_by_the_first_half_of_the_reference_samples() -> None:
    gathered, proofs = evidence(), torch.cat([samples(9, 7), torch.randn(9, 60, generator=make_generator(9))])
    for components, share in ((3, 1.0), (128, 0.6)):
        check = SubspaceCheck(components=components, share=share).prepare(gathered)
        directions = torch.nn.functional.normalize(gathered.reference[:30].double(), dim=1)
        _, values, basis = torch.linalg.svd(directions - directions.mean(0), full_matrices=False)
        explained = values.square().cumsum(0) / values.square().sum()
        spanning = basis[: min(components, 1 + int((explained < share).sum()))]
        inside = (proofs.double() @ spanning.T).square().sum(1)
        expected = 1 - inside / proofs.double().square().sum(1)
        torch.testing.assert_close(check(submission(proofs)), expected, rtol=1e-4, atol=1e-5)


def test_the_subspace_check_works_with_two_samples_and_zero_proofs() -> None:
    two = evidence()
    small = Evidence(two.reference[:3], two.answers, two.imitations, two.trials)
    scores = SubspaceCheck().prepare(small)(submission(torch.cat([torch.zeros(2, 60), two.reference[:1]])))
    assert scores[:2].tolist() == [1, 1]
    # Two samples span one direction, that of their difference.
    directions = torch.nn.functional.normalize(two.reference[:2].double(), dim=1)
    line = torch.nn.functional.normalize(directions[0] - directions[1], dim=0)
    proof = two.reference[0].double()
    assert float(scores[2]) == pytest.approx(float(1 - (proof @ line) ** 2 / proof.square().sum()), rel=1e-4)


def test_the_spot_check_score_is_the_misfit_rounded_to_seven_decimals() -> None:
    gathered, responses = evidence(), samples(12, 31)
    check = SpotCheck().prepare(gathered)
    cosines = torch.nn.functional.cosine_similarity(responses.double(), gathered.imitations.double())
    misfit = check(submission(responses, responses))
    torch.testing.assert_close(misfit, -cosines, atol=6e-8, rtol=0)
    assert torch.equal(misfit, misfit.round(decimals=7))


def test_default_settings_of_the_subspace_check() -> None:
    assert SubspaceCheck().model_dump() == {"components": 128, "share": 0.99}
