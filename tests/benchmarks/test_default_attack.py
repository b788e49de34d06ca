from typing import Any

import pytest
import torch
from benchmarks.default_attack import CASES, Case, passed
from benchmarks.own_networks import NETWORKS

HONEST, RANDOM = Case("own_cnn", "digits"), Case("own_cnn", "digits", "random")
OBFUSCATED = Case("own_cnn", "digits", "orthogonal")


def row(verdict: str = "leaks", *, control: bool = True, **identified: float) -> dict[str, Any]:
    return {"verdict": verdict, "control": control, "identified": identified}


@pytest.mark.parametrize(
    ("case", "result", "expected"),
    [
        (HONEST, row(default=0.8, igf=0.9), True),
        (HONEST, row(default=0.7, igf=0.9), False),
        (HONEST, row("inconclusive", default=0.8), False),
        (HONEST, row(default=0.01, igf=0.09), True),
        (RANDOM, row("leaks", default=0.5), False),
        (RANDOM, row("leaks to candidate holders", default=0.0), False),
        (OBFUSCATED, row("leaks to candidate holders", default=0.0), True),
        (RANDOM, row("inconclusive", default=0.0), True),
        (RANDOM, row("no leak found", default=0.0), True),
        (RANDOM, row("no leak found", control=False, default=0.0), False),
    ],
)
def test_the_default_must_find_what_a_single_attack_finds(
    case: Case, result: dict[str, Any], expected: bool
) -> None:
    assert passed(case, result, chance=0.01) is expected


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_classify_images(name: str) -> None:
    network = NETWORKS[name](channels=3, size=32, classes=5).eval()
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 5)


def test_ten_cases_of_known_networks() -> None:
    assert len(CASES) == 10
    assert {case.network for case in CASES.values()} == set(NETWORKS)
