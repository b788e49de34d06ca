"""The stored state."""

from pathlib import Path

import torch
from torch.testing import assert_close

from palimpsest.attacks.exact.state import ExactState, StartErrors


def test_it_is_stored(fitted, tmp_path: Path) -> None:
    fitted.state.save(tmp_path / "state.safetensors")
    loaded = ExactState.load(tmp_path / "state.safetensors")
    assert loaded.chain.layers == fitted.state.chain.layers
    assert loaded.thresholds == fitted.state.thresholds
    assert_close(loaded.chain.blocks[1].weight, fitted.state.chain.blocks[1].weight, rtol=0, atol=0)
    assert loaded.chain.blocks[0].kernel == (3, 3)


def test_the_deepest_usable_start_is_chosen(fitted) -> None:
    assert [fitted.state.start_at(level) for level in (0, 1, 2)] == [1, 1, 0]


def test_a_larger_misfit_predicts_a_larger_error() -> None:
    errors = StartErrors(torch.randn(50, 1, 2, 2).half(), misfit=0.0, error=-5.0, slope=1.0)
    assert_close(errors.scale(torch.tensor([1.0, 4.0, 1e-9, 1e9])), torch.tensor([1.0, 2.0, 0.25, 4.0]))


def test_the_precision_inverts_the_covariance() -> None:
    samples = torch.randn(3000, 4, generator=torch.Generator().manual_seed(0)) @ torch.diag(
        torch.tensor([1.0, 2, 3, 4])
    )
    errors = StartErrors(samples.view(3000, 1, 2, 2).half(), 0.0, 0.0, 1.0)
    assert_close(errors.precision().diagonal(), torch.tensor([1, 1 / 4, 1 / 9, 1 / 16]), rtol=0.1, atol=0)
