from collections.abc import Iterator

import pytest
import torch
from tests.support.flat_oracle import FlatOracle, small_images
from torch import Tensor

from palimpsest.config import VerificationConfig
from palimpsest.pipeline.stages.verification import choose_tau, verify_proofs
from palimpsest.proofs import Proofs
from palimpsest.runs import Run


class Norms:
    """An oracle that answers with vectors of norms 10, 9, ... 1, in chunks of three, and counts the samples."""

    dimension = 5

    def __init__(self) -> None:
        self.asked = 0

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        self.asked += len(images)
        norms = torch.arange(len(images), 0, -1.0)
        yield from (norms[:, None] * torch.eye(5)[0]).split(3)


HELD_OUT = small_images(10, seed=1)


@pytest.mark.parametrize(("quantile", "tau"), [(0.05, 1.0), (0.7, 7.0), (0.71, 8.0), (1.0, 10.0)])
def test_a_calibrated_tau_is_the_quantile_of_the_held_out_norms(quantile: float, tau: float) -> None:
    oracle = Norms()
    config = VerificationConfig(tau="calibrated", quantile=quantile)
    assert choose_tau(config, oracle, HELD_OUT) == tau
    assert oracle.asked == 10


def test_a_given_tau_is_used() -> None:
    oracle = Norms()
    assert choose_tau(VerificationConfig(tau=1e-6), oracle, HELD_OUT) == 1e-6
    assert oracle.asked == 0


def test_verdicts_are_reused_until_the_threshold_changes(run: Run) -> None:
    oracle, proofs = FlatOracle(), Proofs(torch.eye(4, 300) * torch.arange(1.0, 5.0)[:, None])
    for tau, accepted in ((2.5, [True, True, False, False]), (1e-6, [False] * 4)):
        verdicts = verify_proofs(run, VerificationConfig(tau=tau), proofs, oracle, HELD_OUT, key=())
        assert verdicts.accepted.tolist() == accepted
        assert verdicts.tau == tau
    written = (run.folder / "verdicts.safetensors").stat().st_mtime_ns
    verify_proofs(run, VerificationConfig(tau=1e-6), proofs, oracle, HELD_OUT, key=())
    assert (run.folder / "verdicts.safetensors").stat().st_mtime_ns == written
