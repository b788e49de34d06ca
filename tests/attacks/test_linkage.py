from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

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


def test_the_statistic_that_tells_own_samples_apart_best_is_taken(
    view: AuditorView, forgotten: Tensor
) -> None:
    result = link(view, forgotten)
    assert result.trials
    assert result.trials[result.statistic] == max(result.trials.values()) == 1
    assert result.scores.dtype == torch.float32
    again = link(view, forgotten)
    assert (again.statistic, again.trials) == (result.statistic, result.trials)
    assert torch.equal(again.scores, result.scores)


class Recording(LinearOracle):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Tensor] = []

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        self.asked.append(images)
        return super().differences(images, labels)


def test_no_more_than_512_own_samples_are_tried_and_the_generator_draws_them(view: AuditorView) -> None:
    images = torch.rand(600, 1, 8, 8, generator=make_generator(8))
    own = ImageSet("many", images, torch.zeros(600, dtype=torch.int64), 1)
    asked = []
    for seed in (7, 7, 8):
        oracle = Recording()
        link_proofs(
            replace(view, auxiliary=own, oracle=oracle),
            view.auxiliary.subset(torch.arange(3)),
            None,
            generator=make_generator(seed),
        )
        assert [len(one) for one in oracle.asked] == [512, 3]
        asked.append(oracle.asked[0])
    assert torch.equal(asked[0], asked[1])
    assert not torch.equal(asked[0], asked[2])


def test_what_does_not_fit_into_memory_is_kept_in_the_scratch_folder(
    view: AuditorView, forgotten: Tensor, tmp_path: Path
) -> None:
    expected = link(view, forgotten, *named(["sign"]))
    small = replace(view, memory_budget=1000, scratch=tmp_path / "scratch")
    result = link(small, forgotten, *named(["sign"]))
    assert torch.equal(result.scores, expected.scores)
    # The file itself is gone when nobody reads it any more.
    assert (tmp_path / "scratch").is_dir()
