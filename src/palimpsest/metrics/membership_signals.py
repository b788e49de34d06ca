"""Signals of membership that a model's outputs give: confidence, loss, and logit-scaled confidence."""

import torch
from torch import Tensor


def confidence(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the probability of each sample's class.

    Args:
        logits: `[..., n, classes]`.
        labels: Class indices, `[n]`.

    Returns:
        Probabilities in (0, 1], `[..., n]`, float64.
    """
    return _of_label(logits.double().log_softmax(-1), labels).exp()


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each sample, in nats.

    Args:
        logits: `[..., n, classes]`.
        labels: Class indices, `[n]`.

    Returns:
        Losses, at least 0, `[..., n]`, float64.
    """
    return -_of_label(logits.double().log_softmax(-1), labels)


def scaled_confidence(logits: Tensor, labels: Tensor) -> Tensor:
    """Return log(p / (1 - p)) of the probability p of each sample's class (Carlini et al. 2022, section V.A).

    Over models, this is close to a normal distribution, unlike the probability and the loss. It is computed from the
    logits, because 1 - p of a sample that a model memorized is 0 in float32.

    Args:
        logits: `[..., n, classes]` with two or more classes.
        labels: Class indices, `[n]`.

    Returns:
        Logit-scaled confidences, `[..., n]`, float64.
    """
    exact = logits.double()
    label = _expanded(exact, labels)
    others = exact.scatter(-1, label, -torch.inf)
    return exact.gather(-1, label).squeeze(-1) - others.logsumexp(-1)


def _of_label(values: Tensor, labels: Tensor) -> Tensor:
    return values.gather(-1, _expanded(values, labels)).squeeze(-1)


def _expanded(values: Tensor, labels: Tensor) -> Tensor:
    return labels.expand(values.shape[:-1]).unsqueeze(-1)
