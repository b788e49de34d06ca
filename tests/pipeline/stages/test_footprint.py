from pathlib import Path

import pytest
import torch
from fuzz.fuzzing import resident_memory
from tests.support.audits import tiny

from palimpsest.errors import ResourceError
from palimpsest.gradients import gradient_differences, parameter_count
from palimpsest.pipeline.audit import audit
from palimpsest.pipeline.stages.footprint import check_memory, evidence_rows, proofs_footprint


def test_the_footprint_includes_the_evidence() -> None:
    assert proofs_footprint(10, 1000) == 2 * 4 * 10 * 1000
    imitated, challenges = evidence_rows(1000, memory_budget=2**20)
    evidence = proofs_footprint(10, 1000, memory_budget=2**20) - proofs_footprint(10, 1000)
    assert evidence == 4 * 1000 * (imitated + 5 * challenges)


def test_the_refusal_names_the_proofs_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palimpsest.system.memory.available_memory", lambda: 2**30)
    check_memory(1000, 1000)
    with pytest.raises(
        ResourceError, match=r"1,000,000 proofs of 1,000 values.* need 7\.5 GiB .*unlearning\.count"
    ):
        check_memory(1_000_000, 1000)


def test_an_audit_that_exceeds_the_memory_is_refused_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palimpsest.system.memory.available_memory", lambda: 2**20)
    with pytest.raises(ResourceError, match=r"proofs of .*unlearning\.count"):
        audit(tiny(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("dimension", "expected"), [(1000, 256), (269_722, 256), (1_200_000, 63), (9_500_000, 8), (11_200_000, 8)]
)
def test_the_evidence_takes_at_most_half_of_the_memory_budget(dimension: int, expected: int) -> None:
    imitated, challenges = evidence_rows(dimension, memory_budget=2**32)
    assert (imitated, challenges) == (2 * expected, expected)
    # There are at least 8 challenges, even if they need more.
    assert (4 * dimension * (imitated + 5 * challenges) <= 2**31) is (dimension < 10_000_000)


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="this system does not report peak memory"
)
def test_the_estimate_agrees_with_the_measured_memory() -> None:
    before, after = (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 400)) for _ in range(2))
    images, labels = torch.rand(150, 1, 28, 28), torch.zeros(150, dtype=torch.int64)
    gradient_differences(before, after, images[:20], labels[:20])  # allocates what stays in memory
    held = resident_memory("VmRSS", restart=True)
    gradient_differences(before, after, images, labels, memory_budget=2**26)
    grown = resident_memory("VmHWM") - held
    estimate = proofs_footprint(150, parameter_count(before))
    assert 0.4 * estimate < grown < 1.6 * estimate
