"""Lower bound of epsilon from one release of many canaries, each of which is one of two samples."""

import math
from typing import Any

import numpy as np
from torch import Tensor

from palimpsest.errors import ConfigurationError

_LARGEST = 100.0


def one_run_epsilon(
    correct: int, guesses: int, *, canaries: int, delta: float, confidence: float = 0.95
) -> float:
    """Bound epsilon from below by the number of correct guesses about independent coins.

    Each canary is one of two samples, chosen by a fair coin, and all are released once. If the release is (epsilon,
    delta)-private, correct guesses are hardly more frequent than coins with probability `e^epsilon / (1 + e^epsilon)`.

    Args:
        correct: Number of correct guesses.
        guesses: Number of canaries about which the attacker guesses; it may abstain from the others.
        canaries: Number of all canaries.
        delta: Probability with which the privacy loss may exceed epsilon, in [0, 1).
        confidence: Probability that the bound holds, in (0, 1).

    Returns:
        The bound, at least 0.

    Raises:
        ConfigurationError: The numbers are not `0 <= correct <= guesses <= canaries`.

    Source:
        Steinke, Nasr and Jagielski 2023, Theorem 5.2.

    Example:
        >>> from palimpsest.bounds import one_run_epsilon
        >>> round(one_run_epsilon(95, 100, canaries=200, delta=1e-5), 2)
        2.17
    """
    if not 0 <= correct <= guesses <= canaries:
        raise ConfigurationError(
            f"There are {correct} correct of {guesses} guesses about {canaries} canaries. Pass numbers in this order."
        )

    def excess(epsilon: float) -> float:
        return one_run_p_value(correct, guesses, epsilon, canaries=canaries, delta=delta) - (1 - confidence)

    if not guesses or excess(0.0) >= 0:
        return 0.0
    if excess(_LARGEST) <= 0:
        return _LARGEST
    # Imported late because scipy.optimize takes a third of a second to import.
    from scipy.optimize import brentq

    root: Any = brentq(excess, 0.0, _LARGEST)
    return float(root)


def one_run_p_value(correct: int, guesses: int, epsilon: float, *, canaries: int, delta: float) -> float:
    """Bound the probability of at least this number of correct guesses under (epsilon, delta)-privacy.

    Args:
        correct: As for `one_run_epsilon`, like the others.
        guesses: Number of guesses.
        epsilon: Privacy loss, at least 0.
        canaries: Number of all canaries.
        delta: Probability with which the privacy loss may exceed epsilon.
    """
    # Imported late because scipy.stats takes half a second to import.
    from scipy.stats import binom

    chance = 1 / (1 + math.exp(-epsilon))
    tail = float(binom.sf(correct - 1, guesses, chance))
    if delta == 0 or correct == 0:
        return min(1.0, tail)
    # Probability of correct - i, ..., correct - 1 guesses, divided by i, for every i.
    below = np.cumsum(binom.pmf(np.arange(correct - 1, -1, -1), guesses, chance))
    steepest = float((below / np.arange(1, correct + 1)).max())
    return min(1.0, tail + 2 * canaries * delta * steepest)


def count_guesses(scores: Tensor, coins: Tensor, *, share: float = 0.5) -> tuple[int, int]:
    """Guess the coins about which the scores are the most certain.

    Args:
        scores: For each canary, `[m]`; positive speaks for a coin of 1, negative for 0.
        coins: The coins, `[m]`, 0 or 1.
        share: Share of the canaries to guess about, in (0, 1], fixed before the scores are seen.

    Returns:
        The numbers of correct guesses and of guesses.
    """
    guesses = math.ceil(share * len(scores))
    chosen = scores.abs().topk(guesses).indices
    return int(((scores[chosen] > 0) == (coins[chosen] > 0)).sum()), guesses
