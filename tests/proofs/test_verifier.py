import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.errors import ProofError
from palimpsest.proofs import Proofs, Verdicts, calibrate_tau, verify
from palimpsest.proofs.file import row_blocks


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_accepts_a_norm_of_exactly_tau():
    verdicts = verify(torch.tensor([[3.0, 4.0], [3.0, 4.1], [0.0, 0.0]]), tau=5)
    assert verdicts.accepted.tolist() == [True, False, True]
    assert verdicts.norms[0] == 5


def test_accepts_a_norm_equal_to_a_tau_that_float32_rounds():
    assert verify(torch.tensor([[0.1]]), tau=0.1).accepted.all()


def test_gives_a_reason_for_each_proof():
    verdicts = verify(torch.tensor([[1.0], [3.0]]), tau=2)
    assert verdicts.reasons == (
        "Accepted: the norm 1 is at most tau, 2.",
        "Refused: the norm 3 is above tau, 2.",
    )


@given(n=st.integers(1, 20), d=st.integers(1, 50), seed=st.integers(0, 100))
def test_norms_equal_sums_in_float64(n, d, seed):
    vectors = random(n, d, seed=seed)
    expected = [math.sqrt(math.fsum(value**2 for value in row)) for row in vectors.double().tolist()]
    torch.testing.assert_close(verify(vectors, tau=1).norms, torch.tensor(expected, dtype=torch.float32))


def test_the_norm_includes_many_small_values():
    vectors = torch.full((1, 3_000_000), 1e-3)
    vectors[0, 0] = 1e4  # its square swallows a float32 sum of the others
    expected = math.sqrt(1e8 + 2_999_999 * float(torch.tensor(1e-3)) ** 2)
    assert verify(vectors, tau=1).norms.item() == pytest.approx(expected, rel=1e-7)


def test_sums_squares_beyond_the_range_of_float32():
    assert verify(torch.tensor([[3e30, 4e30], [3e-30, 4e-30]]), tau=1).norms.tolist() == pytest.approx(
        [5e30, 5e-30]
    )


def test_blocks_cover_every_row_once():
    vectors = random(9, 1_000_000)
    assert [len(block) for block in row_blocks(vectors)] == [4, 4, 1]
    assert torch.equal(torch.cat(list(row_blocks(vectors))), vectors)
    torch.testing.assert_close(verify(vectors, tau=1).norms, vectors.double().norm(dim=1).float())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_refuses_only_the_proof_that_is_not_finite(value):
    verdicts = verify(torch.tensor([[1.0, value], [1.0, 0.0]]), tau=1e30)
    assert verdicts.accepted.tolist() == [False, True]
    assert verdicts.reasons[0] == "Refused: a value is not finite."


def test_takes_proofs_as_well_as_vectors():
    vectors = random(4, 3)
    assert torch.equal(
        verify(Proofs(vectors, {"loss": "x"}), tau=1).accepted, verify(vectors, tau=1).accepted
    )


def test_verdicts_can_be_saved_and_loaded(tmp_path):
    verdicts = verify(random(4, 3), tau=1.5)
    verdicts.save(tmp_path / "verdicts.safetensors")
    loaded = Verdicts.load(tmp_path / "verdicts.safetensors")
    assert torch.equal(loaded.accepted, verdicts.accepted)
    assert loaded.accepted.dtype == torch.bool
    assert torch.equal(loaded.norms, verdicts.norms)
    assert (loaded.reasons, loaded.tau) == (verdicts.reasons, verdicts.tau)


@pytest.mark.parametrize("tau", [-1, math.nan, math.inf])
def test_rejects_a_tau_that_is_not_a_norm(tau):
    with pytest.raises(ProofError, match="tau is"):
        verify(torch.zeros(1, 1), tau=tau)


@given(
    count=st.integers(1, 200),
    quantile=st.integers(1, 100).map(lambda percent: percent / 100),
    seed=st.integers(0, 20),
)
def test_the_calibrated_tau_is_the_smallest_at_which_the_share_passes(count, quantile, seed):
    norms = random(count, seed=seed).abs()
    tau = calibrate_tau(norms, quantile=quantile)
    assert (norms <= tau).double().mean() >= quantile - 1e-9
    assert (norms < tau).double().mean() < quantile


def test_the_calibration_set_passes_at_the_chosen_share():
    vectors = random(100, 40)
    tau = calibrate_tau(verify(vectors, tau=0).norms, quantile=0.9)
    assert verify(vectors, tau=tau).accepted.sum() == 90


@pytest.mark.parametrize(
    ("norms", "quantile"),
    [([], 0.9), ([1.0, math.nan], 0.9), ([1.0, math.inf], 0.9), ([1.0], 0), ([1.0], 1.01)],
)
def test_rejects_invalid_norms_and_quantiles(norms, quantile):
    with pytest.raises(ProofError):
        calibrate_tau(torch.tensor(norms), quantile=quantile)


def test_a_notebook_shows_twenty_refusals_and_counts_the_rest():
    for count, more in ((20, False), (21, True)):
        shown = verify(torch.ones(count, 4), tau=1)._repr_html_()
        assert f"<strong>0 of {count} proofs accepted" in shown
        assert shown.count("above tau") == 20
        assert ("more." in shown) is ("... and 1 more." in shown) is more
    assert "reason" not in verify(torch.zeros(3, 4), tau=1)._repr_html_()


def test_a_frame_has_a_row_for_each_verdict():
    frame = verify(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), tau=1).to_frame()
    assert frame["accepted"].tolist() == [False, True]
    assert frame["norm"].tolist() == [5, 0]
    assert frame["reason"].tolist() == list(verify(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), tau=1).reasons)
