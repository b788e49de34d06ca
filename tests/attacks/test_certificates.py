"""Thresholds and statuses of certificates."""

from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.attacks.certificates import Certificates, calibrate_threshold

ERRORS = st.lists(
    st.tuples(st.floats(-9, 1).map(lambda power: 10**power), st.booleans()), min_size=1, max_size=20
)


def certificates() -> Certificates:
    residuals = torch.tensor(
        [[1e-7, 1e-7, 1e-7], [1e-7, 1.0, 1e-9], [1.0, torch.inf, torch.inf], [1e-7, 1e-7, 1.0]]
    )
    return Certificates(
        ("last", "second", "first"),
        residuals.double(),
        torch.tensor([1e-5, 1e-4, 1e-4]).double(),
        torch.tensor([1e-6, 0.1, 0.9, 1e-6]).double(),
        1e-5,
    )


def test_depth_stops_at_the_first_layer_that_fails() -> None:
    assert certificates().depth.tolist() == [3, 1, 0, 2]
    assert certificates().exact.tolist() == [True, False, False, True]
    assert certificates().statuses() == [
        "certified exact",
        "certified up to layer last",
        "not certified",
        "certified exact",
    ]


def test_they_are_stored(tmp_path: Path) -> None:
    certificates().save(tmp_path / "certificates.safetensors")
    assert Certificates.load(tmp_path / "certificates.safetensors").statuses() == certificates().statuses()


@given(ERRORS)
def test_no_wrong_solution_of_the_calibration_is_certified(found: list[tuple[float, bool]]) -> None:
    residuals = torch.tensor([error for error, _ in found], dtype=torch.float64)
    right = torch.tensor([correct for _, correct in found])
    threshold = calibrate_threshold(residuals, right, highest=1e-2)
    assert 0 <= threshold <= 1e-2
    assert not (residuals[~right] <= threshold).any()


def test_correct_solutions_are_certified() -> None:
    residuals = torch.tensor([1e-7, 3e-7, 0.2, torch.inf]).double()
    threshold = calibrate_threshold(residuals, torch.tensor([True, True, False, False]), highest=1e-2)
    assert 3e-7 < threshold < 1e-5
    assert calibrate_threshold(residuals, torch.tensor([False, True, False, False]), highest=1e-2) == 0
