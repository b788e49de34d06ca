"""Inference of the labels of a batch from gradients or confidences."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from palimpsest.attacks.matching.label_probing import probe_labels
from palimpsest.attacks.server_view import ServerView
from palimpsest.errors import KnowledgeError, ModelError
from palimpsest.gradients import trainable_parameters
from palimpsest.storage import Parameters

LabelMode = Literal["known", "inferred", "inferred-sign", "inferred-difference", "probed", "optimized"]
INFERRING: tuple[LabelMode, ...] = ("inferred", "inferred-sign", "inferred-difference", "probed")
"""Modes that infer the labels before the search, from gradients or confidences."""
_MAX_IMAGES = 512


def believed_labels(
    view: ServerView, mode: LabelMode, difference: Tensor, *, generator: Generator
) -> Tensor | None:
    """Determine the labels that an attack assumes for the samples.

    Args:
        view: The server's view.
        mode: `known` takes the labels from the view; `optimized` leaves them to the search. All other modes infer the
            retained samples' labels by `count_rule` and differ in the rule for the forgotten samples: `inferred` uses
            `count_rule`, `inferred-sign` uses `sign_rule`, `inferred-difference` uses `lost_share_rule`, and `probed`
            uses `probe_labels` on the confidences of the two models.
        difference: The attack's estimate of the forgotten samples' mean gradient, `[b, d]`, of any scale.
        generator: Draws the probing images.

    Returns:
        `[b, n_r + n_f]` int64, the retained samples first; None if the search finds the labels.

    Raises:
        KnowledgeError: The mode is `known`, but the view has no labels.
        ModelError: Labels are inferred, but the model has no last linear layer with a bias.
    """
    if mode == "optimized":
        return None
    if mode == "known":
        if view.labels is None:
            raise KnowledgeError(
                "attack.labels is known, but the server has no labels. Use --attack.labels inferred."
            )
        return torch.cat([view.labels.retained, view.labels.forgotten], dim=1)
    observation = view.observation
    layer = last_layer(view.architecture)
    expected = mean_confidence(view.architecture, observation.after, view.public.images)
    retained = torch.stack(
        [
            count_rule(gradient[layer.bias], observation.retained, expected)
            for gradient in observation.gradients_after
        ]
    )
    if mode == "probed":
        networks = [
            _Confidence(view.architecture, parameters)
            for parameters in (observation.before, observation.after)
        ]
        ranking = probe_labels(
            *networks, shape=view.public.shape, classes=view.public.classes, generator=generator
        )
        forgotten = [_first(ranking, observation.forgotten)] * len(retained)
    else:
        forgotten = _forgotten_labels(view, mode, difference, layer)
    return torch.cat([retained, torch.stack(forgotten)], dim=1)


def sign_rule(weights: Tensor, count: int = 1) -> Tensor:
    """Infer labels from signs: the row of a sample's class has negative inner products with all others (iDLG, Eq. 5).

    Each row is a multiple of the sample's features. The factor is the probability of the class, minus one for the
    sample's class, so it is negative only there. The paper covers one sample. For the mean of several samples, the
    classes are ranked by the number of rows with which their row has a negative inner product.

    Args:
        weights: Gradient of the last layer's weights, `[classes, features]`.
        count: Number of samples in the mean.

    Returns:
        `[count]` int64.
    """
    inner_products = weights @ weights.T
    negative_counts = (inner_products.fill_diagonal_(0) < 0).sum(dim=1)
    return _first(negative_counts.argsort(descending=True, stable=True), count)


def lost_share_rule(bias: Tensor, count: int) -> Tensor:
    """Infer the forgotten samples' labels: the classes whose entries in the batch's gradient grew the most.

    The rule uses only the order of the entries, and needs neither sample counts nor probabilities.

    Args:
        bias: Gradient of the last layer's bias after unlearning minus the one before, `[classes]`.
        count: Number of forgotten samples.

    Returns:
        `[count]` int64.
    """
    return _first(bias.argsort(descending=True), count)


def count_rule(bias: Tensor, count: int, expected: Tensor) -> Tensor:
    """Infer the labels of several samples from the gradient of the last layer's bias.

    The entry of a class is its mean probability minus its share of the samples. It is negative only if the class is
    present, so the classes with negative entries come first. The remaining labels follow from the estimated shares, in
    which the unknown mean probabilities are replaced by those on other images. For one sample this is iDLG's rule, and
    exact.

    Args:
        bias: Gradient of the bias, as a mean over the samples, `[classes]`.
        count: Number of samples.
        expected: The model's mean probabilities on other images, `[classes]`.

    Returns:
        `[count]` int64, sorted.
    """
    present = bias.argsort()[: min(count, int((bias < 0).sum()))]
    shares = (expected - bias) * count
    shares[present] -= 1
    labels = present.tolist()
    while len(labels) < count:
        label = int(shares.argmax())
        shares[label] -= 1
        labels.append(label)
    return torch.tensor(sorted(labels))


def bias_difference_rule(differences: Tensor) -> Tensor:
    """Infer the label of each sample from its proof: the class with the largest entry.

    The label cancels in the difference of one sample's gradients at two models, so the sign rule fails. The entries of
    the bias are the differences of the two models' probabilities, and the largest one belongs to the class that lost
    the most confidence.

    Args:
        differences: Entries of the last layer's bias in each proof, before minus after unlearning, `[n, classes]`.

    Returns:
        `[n]` int64.
    """
    return differences.argmax(dim=1)


@dataclass(frozen=True)
class LastLayer:
    """Position of the last linear layer in a flattened gradient.

    Args:
        weights: Position of the weights, row by row.
        bias: Position of the bias.
    """

    weights: slice
    bias: slice

    def weights_of(self, gradient: Tensor) -> Tensor:
        """Extract the gradient of the weights, `[classes, features]`, from a flattened gradient `[d]`."""
        return gradient[self.weights].unflatten(0, (self.bias.stop - self.bias.start, -1))


def last_layer(architecture: nn.Module) -> LastLayer:
    """Find the last linear layer of a model.

    Args:
        architecture: The model.

    Returns:
        The layer's position in a flattened gradient.

    Raises:
        ModelError: The model has no linear layer, or the last one has no bias.
    """
    linear = [name for name, module in architecture.named_modules() if isinstance(module, nn.Linear)]
    prefix = f"{linear[-1]}." if linear and linear[-1] else ""
    positions, start = {}, 0
    for name, parameter in trainable_parameters(architecture).items():
        positions[name] = slice(start, start + parameter.numel())
        start += parameter.numel()
    if not linear or not {f"{prefix}weight", f"{prefix}bias"} <= positions.keys():
        raise ModelError(
            f"{type(architecture).__name__} has no trainable last linear layer with a bias, so labels "
            f"can't be inferred. Use "
            "--attack.labels known or optimized."
        )
    return LastLayer(positions[f"{prefix}weight"], positions[f"{prefix}bias"])


@torch.no_grad()
def mean_confidence(architecture: nn.Module, parameters: Parameters, images: Tensor) -> Tensor:
    """Compute a model's mean class probabilities over images.

    Args:
        architecture: The model.
        parameters: State dict of the model.
        images: `[n, channels, height, width]`; only the first 512 are used.

    Returns:
        `[classes]`.
    """
    return _Confidence(architecture, parameters)(images[:_MAX_IMAGES]).mean(dim=0)


def _forgotten_labels(
    view: ServerView, mode: LabelMode, difference: Tensor, layer: LastLayer
) -> list[Tensor]:
    """Infer the forgotten samples' labels of each batch by the rule of the mode."""
    observation = view.observation
    count = observation.forgotten
    if mode == "inferred":
        expected = mean_confidence(view.architecture, observation.before, view.public.images)
        return [count_rule(gradient[layer.bias], count, expected) for gradient in difference]
    if mode == "inferred-sign":
        return [sign_rule(layer.weights_of(gradient), count) for gradient in difference]
    changes = (observation.gradients_after - observation.gradients_before)[:, layer.bias]
    return [lost_share_rule(change, count) for change in changes]


def _first(ranking: Tensor, count: int) -> Tensor:
    """Return the first classes of a ranking, and start over if there are more samples than classes."""
    return ranking[torch.arange(count) % len(ranking)]


class _Confidence:
    """Black-box model that maps images to class probabilities."""

    def __init__(self, architecture: nn.Module, parameters: Parameters) -> None:
        """Set the architecture and its parameters."""
        self._network = architecture
        self._parameters = parameters

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Compute the class probabilities of images in eval mode, `[n, classes]`."""
        was_training = self._network.training
        self._network.eval()
        try:
            return functional_call(self._network, self._parameters, (images,)).softmax(dim=1)
        finally:
            self._network.train(was_training)
