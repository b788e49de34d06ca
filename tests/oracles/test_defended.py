import pytest
import torch
from torch import Tensor

from palimpsest.defenses import ClipNoise, GaussianNoise, RandomProjection, SignCompression
from palimpsest.defenses import SampleSeededObfuscation as Seeded
from palimpsest.oracles import DefendedOracle
from palimpsest.randomness import make_generator


class PixelOracle:
    """Answers with the images' pixels, and counts the samples."""

    def __init__(self) -> None:
        self.asked = 0

    dimension = 12

    def differences(self, images: Tensor, labels: Tensor):
        self.asked += len(images)
        yield from images.flatten(1).split(3)


IMAGES, LABELS = torch.randn(8, 3, 2, 2, generator=make_generator(1)), torch.zeros(8, dtype=torch.int64)


def ask(oracle: DefendedOracle) -> Tensor:
    return torch.cat(list(oracle.differences(IMAGES, LABELS)))


def test_answers_are_defended() -> None:
    oracle = DefendedOracle(PixelOracle(), [SignCompression()], generator=make_generator(2))
    assert torch.equal(ask(oracle), IMAGES.flatten(1).sign())
    assert oracle.dimension == 12
    assert not oracle.stochastic
    assert torch.equal(ask(oracle), ask(oracle))


@pytest.mark.parametrize("defense", [GaussianNoise(sigma=0.1), ClipNoise(), Seeded(key=5)])
def test_each_query_gets_fresh_randomness_and_secrets_unlike_the_clients(defense) -> None:
    oracle = DefendedOracle(PixelOracle(), [defense], generator=make_generator(2))
    assert oracle.stochastic
    first, second = ask(oracle), ask(oracle)
    assert not torch.equal(first, second)
    clients = defense(IMAGES.flatten(1), generator=make_generator(9))
    assert not torch.equal(first, clients)


def test_the_dimension_is_that_of_a_defended_vector() -> None:
    oracle = DefendedOracle(PixelOracle(), [RandomProjection(dimensions=5)], generator=make_generator(2))
    assert oracle.dimension == ask(oracle).shape[1] == 5


@pytest.mark.parametrize(("budget", "asked"), [(0, 16), (10_000, 8)])
def test_cached_answers_are_defended_again(budget: int, asked: int) -> None:
    plain = PixelOracle()
    oracle = DefendedOracle(
        plain, [GaussianNoise(sigma=0.1)], generator=make_generator(2), memory_budget=budget
    )
    first, second = ask(oracle), ask(oracle)
    assert plain.asked == asked
    assert not torch.equal(first, second)
    torch.testing.assert_close(first, IMAGES.flatten(1), atol=0.6, rtol=0)


def test_defending_answers_at_hand_equals_querying() -> None:
    plain = PixelOracle()
    querying, defending = (
        DefendedOracle(plain, [ClipNoise()], generator=make_generator(2)) for _ in range(2)
    )
    first, second = ask(querying), ask(querying)
    plain.asked = 0
    answers = IMAGES.flatten(1)
    assert torch.equal(torch.cat([*defending.defend(answers.split(5))]), first)
    assert torch.equal(torch.cat([*defending.defend([answers])]), second)
    assert plain.asked == 0
