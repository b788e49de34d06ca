"""Smallest squared error of any attack, from auxiliary samples alone: the Bayes error under their empirical prior.

The prior is uniform over m auxiliary samples, whose proofs the oracle answers. Under it, the best reconstruction of a
Gaussian release is the posterior mean, a weighted mean of the samples, and its error can be simulated. The Bayes error
is concave in the prior. If the forgotten and the auxiliary samples are drawn independently from one distribution, the
expected empirical prior is that distribution, so that the Bayes error under m draws is in expectation at most the Bayes
error under the distribution itself (Jensen). It grows with m. No other property of images or networks is assumed.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.bounds.gram import log_likelihoods
from palimpsest.bounds.identification import check_gram
from palimpsest.errors import ConfigurationError

_BLOCK = 2**22


@dataclass(frozen=True)
class BayesError:
    """The Bayes error under the empirical prior of auxiliary samples.

    Args:
        value: Mean squared error per coordinate.
        interval: Its 95 % interval over samples and noise (normal approximation), `[low, high]`.
        samples: Number of samples of the prior.
    """

    value: float
    interval: tuple[float, float]
    samples: int


def bayes_error(
    gram: Tensor, samples: Tensor, sigma: float, *, draws: int = 1, generator: Generator
) -> BayesError:
    """Simulate the error of the posterior mean under a uniform prior over samples.

    Args:
        gram: Inner products of the samples' centered means, `[m, m]` float64; see `centered_gram`.
        samples: The samples, `[m, ...]`, such as images in [0, 1].
        sigma: Standard deviation of the noise, positive.
        draws: Number of releases of each sample.
        generator: Source of the noise.

    Returns:
        The error, per coordinate of a sample, with its interval.

    Raises:
        ConfigurationError: The numbers of samples differ, or there are fewer than two.
    """
    check_gram(gram, sigma)
    count = len(samples)
    if count != len(gram) or count < 2:
        raise ConfigurationError(
            f"There are {count} samples and {len(gram)} means. Pass the same number of both, at least 2."
        )
    flat = samples.flatten(1).double()
    sums = torch.zeros(count, dtype=torch.float64)
    for chosen in (torch.arange(draws * count) % count).split(max(1, _BLOCK // count)):
        weights = log_likelihoods(gram, sigma, chosen, generator=generator).softmax(1)
        errors = (weights @ flat - flat[chosen]).square().mean(1)
        sums.index_add_(0, chosen, errors)
    means = sums / draws
    value, reach = float(means.mean()), 1.959964 * float(means.std()) / count**0.5
    return BayesError(value, (max(0.0, value - reach), value + reach), count)
