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
    proofs = apply_defenses(view.proofs, defenses, generator=make_generator(5))
    candidates = ImageSet("candidates", forgotten, torch.zeros(20, dtype=torch.int64), 1)
    imitate = DefendedOracle(view.oracle, defenses, generator=make_generator(6)).defend
    return link_proofs(replace(view, proofs=proofs), candidates, imitate, generator=make_generator(7))


def defenses_named(names: Sequence[str]) -> list[Defense]:
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
def test_links_proofs_despite_these_defenses(view: AuditorView, forgotten: Tensor, names: list[str]) -> None:
    result = link(view, forgotten, *defenses_named(names))
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
    link(view, forgotten, *defenses_named(names))
    assert isinstance(view.oracle, LinearOracle)
    assert view.oracle.queries == len(view.auxiliary) + len(forgotten)


def test_uses_the_statistic_that_identifies_most_auxiliary_samples(
    view: AuditorView, forgotten: Tensor
) -> None:
    result = link(view, forgotten)
    assert result.trials
    assert result.trials[result.statistic] == max(result.trials.values()) == 1
    assert result.scores.dtype == torch.float32
    repeated = link(view, forgotten)
    assert (repeated.statistic, repeated.trials) == (result.statistic, result.trials)
    assert torch.equal(repeated.scores, result.scores)


class RecordingOracle(LinearOracle):
    """An oracle that records the queried images."""

    def __init__(self) -> None:
        super().__init__()
        self.queried: list[Tensor] = []

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        self.queried.append(images)
        return super().differences(images, labels)


def test_draws_at_most_512_auxiliary_samples_with_the_generator(view: AuditorView) -> None:
    images = torch.rand(600, 1, 8, 8, generator=make_generator(8))
    auxiliary = ImageSet("many", images, torch.zeros(600, dtype=torch.int64), 1)
    drawn = []
    for seed in (7, 7, 8):
        oracle = RecordingOracle()
        link_proofs(
            replace(view, auxiliary=auxiliary, oracle=oracle),
            view.auxiliary.subset(torch.arange(3)),
            None,
            generator=make_generator(seed),
        )
        assert [len(queried) for queried in oracle.queried] == [512, 3]
        drawn.append(oracle.queried[0])
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_uses_the_scratch_folder_for_data_that_exceeds_the_memory_budget(
    view: AuditorView, forgotten: Tensor, tmp_path: Path
) -> None:
    expected = link(view, forgotten, *defenses_named(["sign"]))
    small = replace(view, memory_budget=1000, scratch=tmp_path / "scratch")
    result = link(small, forgotten, *defenses_named(["sign"]))
    assert torch.equal(result.scores, expected.scores)
    # The file itself is deleted once it is no longer in use.
    assert (tmp_path / "scratch").is_dir()
