import pytest
import torch
from torch import Generator, Tensor

from palimpsest.bounds import PairTest, centered_gram, gaussian_epsilon
from palimpsest.config import build_config
from palimpsest.defenses import ClipNoise, Defense, GaussianNoise, PrivateRelease, Release, pipeline_of
from palimpsest.errors import BoundError
from palimpsest.pipeline.stages import release_privacy
from palimpsest.pipeline.stages.release_privacy import check_privacy, measure_privacy
from palimpsest.randomness import make_generator

ANSWERS = torch.randn(40, 30, generator=make_generator(1))
CONFIG = build_config({"data": {"name": "digits"}, "defenses": [{"name": "gaussian"}]})


@pytest.fixture(autouse=True)
def few_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_privacy, "RELEASES", 400)


def measured(defense: Defense, answers: Tensor = ANSWERS):
    pipeline = pipeline_of([defense])
    gaussian = not isinstance(pipeline.first, PrivateRelease)
    gram = centered_gram(pipeline.means(answers) if gaussian else answers)
    return measure_privacy(CONFIG, pipeline, [defense], answers, gram, make_generator(2))


class TooLittleNoise(GaussianNoise):
    """A defense whose noise is half of what it describes, as if a sensitivity was forgotten."""

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        return GaussianNoise(sigma=self.sigma / 2)(proofs, generator=generator)


class Private(GaussianNoise):
    def release(self) -> Release:
        return PrivateRelease(0.01, 1e-3)


def test_honest_noise_stays_below_its_guarantee() -> None:
    found = measured(ClipNoise(clip=3.0, epsilon=6.0))
    assert found.analytic is not None
    assert found.any_samples == pytest.approx(6.0, rel=1e-4)
    assert 0 < found.measured <= found.analytic <= found.any_samples
    assert found.measured_gaussian <= found.analytic
    assert found.one_run <= (found.one_run_analytic or 0)
    assert (found.canaries, found.guesses, found.releases) == (20, 10, 200)


def test_too_little_noise_is_an_error_that_names_the_defense() -> None:
    answers = 4 * ANSWERS
    measured(GaussianNoise(sigma=20.0), answers)
    with pytest.raises(BoundError, match=r"The defenses gaussian are less private .* of at least"):
        measured(TooLittleNoise(sigma=20.0), answers)


def test_a_described_epsilon_is_checked_without_assuming_gaussian_noise() -> None:
    with pytest.raises(BoundError, match=r"`Defense.release` gives 0\.01"):
        measured(Private(sigma=1.0))
    found = measured(Private(sigma=1e5))
    assert (found.delta, found.analytic, found.any_samples) == (1e-3, 0.01, 0.01)


def test_without_a_guarantee_nothing_is_violated() -> None:
    clear = PairTest("norm", torch.ones(400), torch.zeros(400))
    check_privacy(clear, None, 1e-5, gaussian=False, names=["x"])
    check_privacy(clear, gaussian_epsilon(10.0, 1e-5), 1e-5, gaussian=True, names=["x"])
    with pytest.raises(BoundError, match="The defenses x, y are"):
        check_privacy(clear, 1.0, 1e-5, gaussian=False, names=["x", "y"])
