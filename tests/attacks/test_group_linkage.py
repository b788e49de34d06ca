from dataclasses import replace

import pytest
import torch
from tests.support.attack_views import LinearOracle
from torch import Tensor

from palimpsest.attacks import AuditorView
from palimpsest.attacks.group_linkage import GroupLinkage, Whitening, link_groups
from palimpsest.datasets import ImageSet
from palimpsest.defenses import GaussianNoise, RandomProjection, apply_defenses
from palimpsest.defenses.defense import Defense
from palimpsest.errors import DatasetError
from palimpsest.metrics import score_group_linkage
from palimpsest.oracles import DefendedOracle
from palimpsest.randomness import make_generator

SIZE, GROUPS, STRANGERS = 8, 6, 60


def noise(count: int, seed: int) -> ImageSet:
    images = torch.rand(count, 1, 8, 8, generator=make_generator(seed))
    return ImageSet("noise", images, torch.zeros(count, dtype=torch.int64), 1)


def link(*defenses: Defense, dimension: int = 40) -> tuple[GroupLinkage, Tensor]:
    """Link groups of images whose differences are a linear map of the pixels; the last candidates are strangers."""
    oracle, members = LinearOracle(dimension), noise(SIZE * GROUPS, 1)
    group = torch.arange(GROUPS).repeat_interleave(SIZE)
    clean = (members.images.flatten(1) @ oracle.matrix).view(GROUPS, SIZE, -1).mean(1)
    proofs = apply_defenses(clean, defenses, generator=make_generator(5))
    view = AuditorView(proofs, oracle, noise(300, 2), "cpu", 2**30, group_sizes=(SIZE,) * GROUPS)
    strangers = noise(STRANGERS, 3)
    candidates = replace(
        members,
        images=torch.cat([members.images, strangers.images]),
        labels=torch.cat([members.labels, strangers.labels]),
    )
    imitate = DefendedOracle(oracle, defenses, generator=make_generator(6)).defend if defenses else None
    return link_groups(view, candidates, imitate, generator=make_generator(7)), group


@pytest.mark.parametrize("defenses", [(), (GaussianNoise(sigma=0.5),)])
def test_finds_members_of_a_group_among_strangers(defenses: tuple[Defense, ...]) -> None:
    linkage, group = link(*defenses)
    found = score_group_linkage(
        linkage.scores, group, statistic=linkage.statistic, threshold=linkage.threshold
    )
    assert found.exposed
    assert found.auc.value > 0.75
    assert found.accuracy.low > 0.5
    assert linkage.trials[linkage.statistic] == max(linkage.trials.values())


def test_whitening_is_the_best_statistic_for_correlated_coordinates() -> None:
    linkage, _ = link()
    assert linkage.statistic == "whitened"
    assert linkage.trials["whitened"] > linkage.trials["alignment"] + 0.05


def test_only_imitated_proofs_are_compared_if_a_defense_changes_the_length() -> None:
    linkage, _ = link(RandomProjection(dimensions=16))
    assert set(linkage.trials) == {"imitation"}
    assert linkage.scores.shape == (GROUPS, SIZE * GROUPS + STRANGERS)


def test_needs_auxiliary_images_to_choose_a_statistic() -> None:
    view = AuditorView(torch.rand(1, 40), LinearOracle(), noise(7, 2), "cpu", 2**30, group_sizes=(4,))
    with pytest.raises(DatasetError, match="there are 7"):
        link_groups(view, noise(4, 1), None, generator=make_generator(7))


def test_whitened_scores_are_the_likelihood_ratio_of_gaussian_differences() -> None:
    """Against the densities themselves: N(x / s + (s - 1) m / s, C / s) and N(m, C / s)."""
    mixing = torch.tensor([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [0.0, 0.5, 1.5]])
    answers = torch.randn(200, 3, generator=make_generator(1)) @ mixing + 1
    mean, covariance = answers.double().mean(0), answers.double().T.cov()
    proofs, candidates = answers[:5] / 2, answers[5:9]
    sizes = torch.full((5,), 16)
    scores = Whitening.fit(answers, answers).statistics(proofs, sizes, candidates, candidates)["whitened"]
    null = torch.distributions.MultivariateNormal(mean, covariance / 16)
    for place, candidate in enumerate(candidates.double()):
        shifted = torch.distributions.MultivariateNormal(mean + (candidate - mean) / 16, covariance / 16)
        ratio = shifted.log_prob(proofs.double()) - null.log_prob(proofs.double())
        # The smallest variances are raised by a hundredth of their mean.
        torch.testing.assert_close(scores[:, place], ratio, rtol=0.1, atol=0.1)
