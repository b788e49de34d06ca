"""Bounds on the identification of a Gaussian release among given candidates.

The candidates are n samples, equally likely to anyone who has not seen the proof. Their means are known, for example to
an attacker who can query the oracle. Three numbers hold for every attack:

- `candidate_success`, a proof for the candidates at hand, of which only the distances from their center matter;
- `joint_success`, the same for an attacker who sees the proofs of all candidates together, in random order;
- `optimal_success`, a simulation of the attack that nothing beats: the most likely candidate.

`gaussian_success` has the bound for all candidates that a clipped norm allows.
"""

import numpy as np
import torch
from torch import Generator, Tensor

from palimpsest.bounds.gram import log_likelihoods
from palimpsest.bounds.trade_off import gaussian_delta, least_line
from palimpsest.errors import ConfigurationError
from palimpsest.metrics import Rate, share

_BLOCK = 2**22


def candidate_success(gram: Tensor, sigma: float) -> float:
    """Bound the identification of one release among equally likely candidates.

    The reference is noise around the candidates' mean. For candidate j at distance r_j from it, `P_j(A) <=
    delta(epsilon; r_j / sigma) + e^epsilon Q(A)`. The attacker's regions A_j are disjoint, so that their probabilities
    under Q sum to at most 1, and the mean of the left sides is at most the mean delta plus `e^epsilon / n`.

    Args:
        gram: Inner products of the candidates' centered means, `[n, n]` float64; see `centered_gram`.
        sigma: Standard deviation of the noise, positive.

    Returns:
        The largest expected share of right guesses, in [1/n, 1].

    Source:
        Argument of Balle, Cherubin and Hayes 2022, Theorem 2, with one trade-off function for each candidate.
    """
    check_gram(gram, sigma)
    distances = gram.diagonal().clamp_min(0).sqrt().numpy() / sigma
    return least_line(1 / len(gram), lambda epsilon: float(gaussian_delta(epsilon, distances).mean()))


def joint_success(gram: Tensor, sigma: float) -> float:
    """Bound the identification by an attacker who sees one release of every candidate, in random order.

    Such an attacker may assign all proofs at once. The reference for a proof is: noise around the mean in place of the
    proof, and the releases of all candidates but a random one, r, at the others. The truth, that the proof belongs to
    candidate j, is reached by two changes: this mean by m_j, and m_j by m_r at the place where j was. Their squared
    distances add up, and the hockey-stick divergence is jointly convex.

    Args:
        gram: As for `candidate_success`.
        sigma: Standard deviation of the noise, positive.

    Returns:
        The largest expected share of right guesses, in [1/n, 1]; at least that of `candidate_success`.
    """
    check_gram(gram, sigma)
    squares = gram.diagonal().numpy()
    others = squares[:, None] + squares[None, :] - 2 * gram.numpy()
    distances = np.sqrt(np.maximum(squares[:, None] + others, 0)) / sigma
    return least_line(1 / len(gram), lambda epsilon: float(gaussian_delta(epsilon, distances).mean()))


def optimal_success(gram: Tensor, sigma: float, *, draws: int, generator: Generator) -> Rate:
    """Simulate the best attack on one release: it chooses the most likely candidate.

    No attack identifies a larger share in expectation (Bayes decision rule for equally likely candidates).

    Args:
        gram: As for `candidate_success`.
        sigma: Standard deviation of the noise, positive.
        draws: Number of simulated releases; each candidate gets an equal number of them, up to one.
        generator: Source of the noise.

    Returns:
        The share of right guesses, with its exact 95 % interval over the draws and the chance level.
    """
    check_gram(gram, sigma)
    count, right = len(gram), 0
    sources = torch.arange(draws) % count
    for chosen in sources.split(max(1, _BLOCK // count)):
        scores = log_likelihoods(gram, sigma, chosen, generator=generator)
        right += int((scores.argmax(1) == chosen).sum())
    return share(right / draws, draws, chance=1 / count)


def check_gram(gram: Tensor, sigma: float) -> None:
    """Check the arguments that the bounds for given candidates share.

    Args:
        gram: Inner products, `[n, n]`.
        sigma: Standard deviation of the noise.

    Raises:
        ConfigurationError: There are no candidates, or the noise is not positive.
    """
    if not len(gram) or not sigma > 0:
        raise ConfigurationError(
            f"There are {len(gram)} candidates and noise of {sigma}. Pass at least one candidate and positive noise."
        )
