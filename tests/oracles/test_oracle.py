import torch
from torch import nn

from palimpsest.datasets import ImageSet
from palimpsest.gradients import gradient_differences
from palimpsest.oracles import ModelOracle, query_all


def test_answers_are_gradient_differences_in_order() -> None:
    original, unlearned = (nn.Sequential(nn.Flatten(), nn.Linear(12, 3)) for _ in range(2))
    images, labels = torch.rand(40, 3, 2, 2), torch.arange(40) % 3
    oracle = ModelOracle(original, unlearned)
    answers = torch.cat(list(oracle.differences(images, labels)))
    assert torch.equal(answers, gradient_differences(original, unlearned, images, labels))
    assert oracle.dimension == 39


def test_all_answers_are_one_matrix() -> None:
    original, unlearned = (nn.Sequential(nn.Flatten(), nn.Linear(12, 3)) for _ in range(2))
    samples = ImageSet("noise", torch.rand(40, 3, 2, 2), torch.arange(40) % 3, 3)
    # A small budget gives several chunks.
    answers = query_all(ModelOracle(original, unlearned, memory_budget=2**14), samples)
    assert torch.equal(answers, gradient_differences(original, unlearned, samples.images, samples.labels))
    assert query_all(ModelOracle(original, unlearned), samples.subset(torch.arange(0))).shape == (0, 39)
