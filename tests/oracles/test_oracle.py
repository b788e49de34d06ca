from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from palimpsest.datasets import ImageSet
from palimpsest.gradients import gradient_differences, per_sample, trainable_parameters
from palimpsest.oracles import ModelOracle, query_all, read_answers
from palimpsest.reduction import FactoredProjection


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


class VectorsOnly:
    """An oracle behind a wire, which sends whole vectors."""

    def __init__(self, oracle: ModelOracle) -> None:
        self._oracle, self.dimension = oracle, oracle.dimension

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        return self._oracle.differences(images, labels)


def test_a_factored_projection_needs_no_vectors_if_the_oracle_is_local(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = [nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 3)) for _ in range(2)]
    images, labels = torch.rand(20, 3, 2, 2), torch.arange(20) % 3
    shapes = [parameter.shape for parameter in trainable_parameters(models[0]).values()]
    projection = FactoredProjection.draw(shapes, 30, generator=torch.Generator().manual_seed(0))
    oracle = ModelOracle(*models)
    sent = torch.cat([*read_answers(VectorsOnly(oracle), images, labels, projection, min_rows=7)])
    # What a proof becomes, which arrives as a vector.
    proofs = projection.transform(gradient_differences(*models, images, labels))
    monkeypatch.setattr(per_sample, "_chunks", None)
    local = torch.cat([*read_answers(oracle, images, labels, projection, min_rows=7)])
    torch.testing.assert_close(local, sent, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(local, proofs, rtol=1e-4, atol=1e-6)
