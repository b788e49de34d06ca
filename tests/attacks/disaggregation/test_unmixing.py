import torch
from tests.support.attack_views import seeded
from torch import Tensor

from palimpsest.attacks.disaggregation.unmixing import Unmixing, whiten
from palimpsest.progress import progress_line


def independent_sources(count: int, length: int) -> Tensor:
    """Draw sources that are uncorrelated and not normally distributed: uniform and Laplacian, in turn."""
    uniform = torch.rand(count, length, generator=seeded(), dtype=torch.float64) - 0.5
    heavy = uniform.sign() * -(1 - 2 * uniform.abs()).clamp_min(1e-12).log()
    return torch.where(torch.arange(count)[:, None] % 2 == 0, uniform, heavy)


def unmix(mixtures: Tensor, **settings: float) -> Tensor:
    """Return the separated sources, without total variation unless it is set."""
    defaults = {"negentropy": 300.0, "total_variation": 0.0, "independence": 0.3, "temperature": 5.0}
    unmixing = Unmixing(iterations=250, learning_rate=0.05, restarts=3, **defaults | settings)
    whitened = whiten(mixtures)
    with progress_line("test", 250) as line:
        variation = lambda sources: sources.diff(dim=-1).abs().mean(dim=-1)  # noqa: E731
        matrix, _ = unmixing.run(whitened, variation, seeded(2), line)
    return matrix @ whitened.mixtures


def correlations(found: Tensor, truth: Tensor) -> Tensor:
    """Return the absolute correlation of each true source with the one that is most similar to it."""
    count = len(truth)
    return torch.corrcoef(torch.cat([found, truth]))[:count, count:].abs().amax(dim=0)


def test_separates_known_mixtures_by_negentropy() -> None:
    sources = independent_sources(3, 2000)
    mixing = torch.randn(3, 3, generator=seeded(1), dtype=torch.float64)
    assert float(correlations(mixing @ sources, sources).min()) < 0.9
    assert float(correlations(unmix(mixing @ sources), sources).min()) > 0.98


def test_separates_sources_with_few_jumps_by_total_variation() -> None:
    times = torch.arange(1024)
    # Square waves of several periods are nearly uncorrelated, and their edges are at different times.
    sources = torch.stack(
        [((times + shift) // half % 2).double() for half, shift in ((512, 0), (256, 77), (128, 31))]
    )
    mixing = torch.randn(3, 3, generator=seeded(1), dtype=torch.float64)
    found = unmix(mixing @ sources, negentropy=0.0, total_variation=10.0, independence=0.03)
    assert float(correlations(mixing @ sources, sources).min()) < 0.9
    assert float(correlations(found, sources).min()) > 0.98


def test_whitens() -> None:
    mixtures = torch.randn(4, 50, generator=seeded(), dtype=torch.float64) + 3
    whitened = whiten(mixtures)
    torch.testing.assert_close(
        whitened.mixtures @ whitened.mixtures.T / 50, torch.eye(4, dtype=torch.float64)
    )
    torch.testing.assert_close(
        whitened.mixtures, whitened.transform @ (mixtures - mixtures.mean(dim=1, keepdim=True))
    )
    repeated = torch.cat([mixtures, mixtures[:1] + 1])
    assert len(whiten(repeated).mixtures) == 4


def test_a_single_source_needs_no_search() -> None:
    source = independent_sources(1, 100)
    torch.testing.assert_close(
        correlations(torch.cat([unmix(source), source]), source)[:1], torch.ones(1).double()
    )


def test_the_gradient_of_the_objective_is_correct() -> None:
    mixtures = whiten(independent_sources(2, 30)).mixtures
    unmixing = Unmixing(1, 0.1, 1.0, 0.5, 0.2, 3.0, 1)
    evaluate = unmixing.objective_and_gradient(mixtures, lambda sources: sources.square().mean(dim=-1))
    point = torch.randn(2, 4, generator=seeded(), dtype=torch.float64)
    _, gradient = evaluate(point, torch.arange(2))
    for column in range(4):
        step = torch.zeros(4, dtype=torch.float64)
        step[column] = 1e-6
        slope = (
            evaluate(point + step, torch.arange(2))[0] - evaluate(point - step, torch.arange(2))[0]
        ) / 2e-6
        torch.testing.assert_close(gradient[:, column], slope, atol=1e-6, rtol=1e-4)
