from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from palimpsest.datasets import EMPTY, GroupSet, ImageSet
from palimpsest.oracles import AggregatedOracle, ModelOracle, membership_weights, query_all

POOL = ImageSet("pool", torch.rand(6, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1, 2]), classes=3)
FEW = GroupSet.of(POOL, torch.tensor([[1, 3], [4, EMPTY]]))
OVERLAPPING = GroupSet.of(POOL, torch.tensor([[1, 3, 3, 5], [4, 1, EMPTY, EMPTY], [0, 1, 2, 4]]))


class PixelOracle:
    """Answers with the images' pixels, and records the number of samples in each query."""

    dimension = 4

    def __init__(self) -> None:
        self.asked: list[int] = []

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        self.asked.append(len(images))
        yield from images.flatten(1).split(1)


def reference_means(groups: GroupSet, answers: Tensor) -> Tensor:
    """Return the groups' means of the samples' answers: correct, slow."""
    return torch.stack([answers[rows[rows != EMPTY]].mean(0) for rows in groups.members])


@pytest.mark.parametrize(
    ("groups", "budget", "asked"),
    [(FEW, 2**20, [2, 1]), (OVERLAPPING, 2**20, [6]), (OVERLAPPING, 64, [4, 2, 4])],
    ids=["few members", "more members than images", "images that do not fit into memory"],
)
def test_answers_are_the_means_of_the_members_answers(
    groups: GroupSet, budget: int, asked: list[int]
) -> None:
    plain = PixelOracle()
    oracle = AggregatedOracle(plain, POOL, memory_budget=budget)
    torch.testing.assert_close(query_all(oracle, groups), reference_means(groups, POOL.images.flatten(1)))
    assert plain.asked == asked
    assert oracle.dimension == 4


@pytest.mark.parametrize("groups", [FEW, OVERLAPPING])
def test_a_model_computes_the_mean_of_a_group_in_one_pass(
    groups: GroupSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    models = [nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)) for _ in range(2)]
    oracle = ModelOracle(models[0], models[1])
    expected = reference_means(groups, query_all(oracle, POOL))

    def refuse(*_: object) -> None:
        raise AssertionError("the vector of a single sample was computed")

    if groups is FEW:
        monkeypatch.setattr(ModelOracle, "differences", refuse)
    torch.testing.assert_close(query_all(AggregatedOracle(oracle, POOL), groups), expected)


def test_weights_of_a_group_sum_to_one_and_count_repeated_members() -> None:
    weights = membership_weights(OVERLAPPING.members, 6)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    assert weights[0].tolist() == [0, 0.25, 0, 0.5, 0, 0.25]
