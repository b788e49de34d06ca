import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from palimpsest.attacks.learned.last_linear import LastLinear, factorize_rank_two, find_last_linear
from palimpsest.gradients import gradient_differences


def models(classes: int = 5, width: int = 12, *, bias: bool = True, negative: bool = False):
    """Build two small classifiers with different random weights."""
    classifiers = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        body = [nn.Flatten(), nn.Linear(16, width), nn.Tanh() if negative else nn.ReLU()]
        classifiers.append(nn.Sequential(*body, nn.Linear(width, classes, bias=bias)))
    return classifiers


def samples(count: int, classes: int = 5, seed: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.rand(count, 1, 4, 4, generator=generator),
        torch.randint(classes, (count,), generator=generator),
    )


@given(classes=st.integers(2, 12), width=st.integers(1, 30))
@settings(max_examples=20, deadline=None)
def test_finds_the_last_layer_from_the_vectors_alone(classes: int, width: int) -> None:
    original, unlearned = models(classes, width)
    images, labels = samples(40, classes)
    vectors = gradient_differences(original, unlearned, images, labels)
    assert find_last_linear(vectors, classes) == LastLinear(classes, width)


@pytest.mark.parametrize("vectors", [torch.zeros(8, 300), torch.randn(8, 300), torch.randn(8, 9)])
def test_finds_no_layer_in_vectors_without_one(vectors: Tensor) -> None:
    assert find_last_linear(vectors, 5) is None


def test_finds_no_layer_without_a_bias() -> None:
    original, unlearned = models(bias=False)
    images, labels = samples(40)
    vectors = gradient_differences(original, unlearned, images, labels)
    assert find_last_linear(vectors, 5) is None
    # The same layer with a bias is found from the same samples.
    assert find_last_linear(gradient_differences(*models(), images, labels), 5) is not None


@given(st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_recovers_inputs_residuals_and_labels(seed: int) -> None:
    original, unlearned = models()
    images, labels = samples(30, seed=seed)
    vectors = gradient_differences(original, unlearned, images, labels)
    factors = factorize_rank_two(LastLinear(5, 12), vectors)
    onehot = nn.functional.one_hot(labels, 5)
    with torch.no_grad():
        inputs = torch.stack([model[:-1](images) for model in (original, unlearned)], 1)
        residuals = torch.stack([model(images).softmax(1) - onehot for model in (original, unlearned)], 1)
    # For each model, the factorization needs an input that is active at this model only. Most samples have both.
    separable = ((inputs[:, 0] > 0.02) & (inputs[:, 1] == 0)).any(1) & (
        (inputs[:, 1] > 0.02) & (inputs[:, 0] == 0)
    ).any(1)
    assert separable.float().mean() > 0.5
    torch.testing.assert_close(factors.features[separable], inputs[separable], rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(factors.residuals[separable], residuals[separable], rtol=1e-2, atol=1e-3)
    assert torch.equal(factors.labels[separable], labels[separable])
    assert factors.purity[separable].min() > 0.99


def test_negative_inputs_lower_the_purity() -> None:
    original, unlearned = models(negative=True)
    images, labels = samples(60)
    vectors = gradient_differences(original, unlearned, images, labels)
    assert factorize_rank_two(LastLinear(5, 12), vectors).purity.median() < 0.99


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 1e20])
def test_random_vectors_give_finite_factors(scale: float) -> None:
    factors = factorize_rank_two(
        LastLinear(5, 12), scale * torch.randn(20, 300, generator=torch.Generator().manual_seed(0))
    )
    for value in (factors.features, factors.residuals, factors.purity):
        assert value.isfinite().all()
    assert (factors.features >= 0).all()
