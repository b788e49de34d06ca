from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from tests.support.attack_views import LinearOracle
from torch import Tensor

from palimpsest.attacks import AuditorView, Linkage, link_proofs
from palimpsest.datasets import ImageSet
from palimpsest.defenses import Defense, apply_defenses
from palimpsest.oracles import DefendedOracle
from palimpsest.randomness import make_generator
from palimpsest.registry import DEFENSES


def link(view: AuditorView, forgotten: Tensor, *defenses: Defense) -> Linkage:
    issued = apply_defenses(view.proofs, defenses, generator=make_generator(5))
    candidates = ImageSet("candidates", forgotten, torch.zeros(20, dtype=torch.int64), 1)
    imitate = DefendedOracle(view.oracle, defenses, generator=make_generator(6)).defend
    return link_proofs(replace(view, proofs=issued), candidates, imitate, generator=make_generator(7))


def named(names: Sequence[str]) -> list[Defense]:
    return [DEFENSES.get(name)() for name in names]


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["smooth"],
        ["orthogonal"],
        ["orthogonal-sample-seeded"],
        ["norm-only"],
    ],
)
def test_a_defense_that_is_a_function_of_the_sample_links_it(
    view: AuditorView, forgotten: Tensor, names: list[str]
) -> None:
    result = link(view, forgotten, *named(names))
    assert torch.equal(result.scores.argmax(1), torch.arange(20)), result.trials


def test_enough_noise_prevents_linkage(view: AuditorView, forgotten: Tensor) -> None:
    result = link(view, forgotten, DEFENSES.get("clip-noise")(epsilon=0.01))
    assert (result.scores.argmax(1) == torch.arange(20)).double().mean() < 0.4


def test_candidates_may_include_other_samples(view: AuditorView, forgotten: Tensor) -> None:
    candidates = view.auxiliary.subset(torch.arange(30))
    result = link_proofs(view, candidates, None, generator=make_generator(7))
    assert result.scores.shape == (20, 30)
    assert result.scores.max() < 1 - 1e-4


@pytest.mark.parametrize("names", [[], ["orthogonal"]])
def test_the_oracle_is_queried_once_for_each_sample(
    view: AuditorView, forgotten: Tensor, names: list[str]
) -> None:
    link(view, forgotten, *named(names))
    assert isinstance(view.oracle, LinearOracle)
    assert view.oracle.queries == len(view.auxiliary) + len(forgotten)
