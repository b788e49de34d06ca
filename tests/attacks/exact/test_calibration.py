"""Calibration of the certificates."""

import torch

from palimpsest.attacks.exact.calibration import calibrate


def test_thresholds_lie_above_the_errors_of_solved_proofs(fitted) -> None:
    state = calibrate(
        fitted.state,
        fitted.case.trunk,
        fitted.view.oracle,
        fitted.view.auxiliary,
        fitted.kept,
        rounds=0,
        batch=4,
        device="cpu",
    )
    assert all(0 < threshold <= 1e-2 for threshold in state.thresholds[:2])
    assert state.proof_threshold > 0
    assert state.facts["calibration_exact"] > 0.3


def test_an_oracle_of_noise_certifies_nothing(fitted) -> None:
    class Noise:
        dimension = fitted.view.oracle.dimension

        def differences(self, images: torch.Tensor, labels: torch.Tensor):
            yield torch.randn(len(images), self.dimension, generator=torch.Generator().manual_seed(0))

    state = calibrate(
        fitted.state,
        fitted.case.trunk,
        Noise(),
        fitted.view.auxiliary,
        fitted.kept,
        rounds=0,
        batch=4,
        device="cpu",
    )
    assert state.thresholds == (0.0, 0.0, 0.0)
    assert state.proof_threshold == 0
