"""Attacks by who sees the model before and after unlearning (Chen et al. 2021)."""

import torch
from torch import Tensor

from palimpsest.metrics.membership_signals import loss, scaled_confidence


def update_features(before: Tensor, after: Tensor, labels: Tensor) -> Tensor:
    """Return the features of a sample in two models (Chen et al. 2021, section 3.3).

    These are the probabilities of both models and their difference, in the order of the first model's probabilities
    (sorted concatenation and sorted difference), their Euclidean distance, and both models' losses and logit-scaled
    confidences with their differences.

    Args:
        before: Logits of the model before unlearning, `[..., n, classes]`.
        after: Logits of the model after unlearning, `[..., n, classes]`.
        labels: Class indices, `[n]`.

    Returns:
        Features, `[..., n, 3 classes + 7]`, float64.
    """
    first, second = before.double().softmax(-1), after.double().softmax(-1)
    first, order = first.sort(-1, descending=True)
    second = second.gather(-1, order)
    scalars = [(first - second).norm(dim=-1)]
    for signal in (loss, scaled_confidence):
        one, other = signal(before, labels), signal(after, labels)
        scalars += [one, other, one - other]
    return torch.cat([first, second, first - second, torch.stack(scalars, -1)], -1)


def update_attack(target: Tensor, shadows: Tensor, members: Tensor) -> Tensor:
    """Score membership by a logistic regression that was fitted to the shadow models (Chen et al. 2021, section 3.2).

    Args:
        target: Features of each sample in the tested models, `[n, features]`.
        shadows: Features of the same samples in the shadow models, `[shadows, n, features]`.
        members: Which shadow model was trained on which sample and unlearned it, `[shadows, n]` bool; the others never
            held it.

    Returns:
        Logits of the regression, higher for members, `[n]`.
    """
    # Imported late because scikit-learn takes a second to import.
    from sklearn.linear_model import LogisticRegression

    rows = shadows.flatten(0, 1).double()
    mean, scale = rows.mean(0), rows.std(0).clamp_min(1e-9)
    regression = LogisticRegression(max_iter=1000)
    regression.fit(((rows - mean) / scale).numpy(), members.flatten().numpy())
    return torch.from_numpy(regression.decision_function(((target.double() - mean) / scale).numpy()))


def joint_ratio(target: Tensor, shadows: Tensor, members: Tensor) -> Tensor:
    """Score membership by the likelihood ratio of the signals before and after together, for each sample.

    This is LiRA with a vector for each sample. Both distributions of a sample are normal, with its own means and the
    covariance of all samples, so that the logarithm of the ratio is linear in the signals.

    Args:
        target: Signals of each sample in the tested models, `[n, signals]`.
        shadows: Signals of the same samples in the shadow models, `[shadows, n, signals]`.
        members: Which shadow model was trained on which sample and unlearned it, `[shadows, n]` bool.

    Returns:
        Logarithms of the likelihood ratio, higher for members, `[n]`.
    """
    signals = shadows.double()
    means = list[Tensor]()
    scatter = torch.zeros(signals.shape[-1], signals.shape[-1], dtype=torch.float64)
    for chosen in (members, ~members):
        weight = chosen.double().unsqueeze(-1)
        mean = (signals * weight).sum(0) / weight.sum(0)
        deviation = ((signals - mean) * weight).flatten(0, 1)
        scatter += deviation.T @ deviation
        means.append(mean)
    inside, outside = means
    freedom = max(1, members.numel() - 2 * members.shape[1])
    covariance = scatter / freedom
    # Models that differ nowhere, such as after an unlearning method that changes nothing, have a singular covariance.
    precision = torch.linalg.pinv(covariance, hermitian=True, rtol=1e-9)
    direction = (inside - outside) @ precision
    return ((target.double() - (inside + outside) / 2) * direction).sum(-1)
