"""Inference of a batch's classes from gradients."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from palimpsest.attacks.matching.label_probing import probe_labels
from palimpsest.attacks.server_view import ServerView
from palimpsest.errors import KnowledgeError, ModelError
from palimpsest.storage import Parameters

LabelMode = Literal["known", "inferred", "inferred-sign", "inferred-difference", "probed", "optimized"]
INFERRING: tuple[LabelMode, ...] = ("inferred", "inferred-sign", "inferred-difference", "probed")
"""The modes that infer the classes before the search, from gradients or confidences."""
_IMAGES = 512


def believed_labels(
    view: ServerView, mode: LabelMode, difference: Tensor, *, generator: Generator
) -> Tensor | None:
    """Determine the classes that an attack assumes for the samples.

    Args:
        view: What the server holds.
        mode: `known` takes the classes from the view, and `optimized` leaves them to the search. All other modes infer
            the retained samples' classes by `count_rule`, and the forgotten samples' classes as follows: `inferred` by
            `count_rule`, `inferred-sign` by `sign_rule`, `inferred-difference` by `lost_share_rule`, and `probed` from
            the two models' confidences, by `probe_labels`.
        difference: The attack's estimate of the forgotten samples' mean gradient, `[b, d]`, of any scale.
        generator: Draws probing images.

    Returns:
        `[b, n_r + n_f]` int64, the retained samples first; None if the search finds the classes.

    Raises:
        KnowledgeError: The mode is `known`, and the view lacks the labels.
        ModelError: Labels are inferred, and the model has no last linear layer with a bias.
    """
    if mode == "optimized":
        return None
    if mode == "known":
        if view.labels is None:
            raise KnowledgeError("The labels are not known to this server: use --attack.labels inferred.")
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
    """Infer classes from signs (iDLG, Eq. 5): the row of a sample's class points against all other rows.

    Each row is a number times the sample's features. The number is the class's probability, minus one for the sample's
    class: it is negative only there. The paper covers one sample. For the mean of several samples, the rows that point
    against most others come first.

    Args:
        weights: The gradient of the last layer's weights, `[classes, features]`.
        count: Number of samples in the mean.

    Returns:
        `[count]` int64.
    """
    products = weights @ weights.T
    against = (products.fill_diagonal_(0) < 0).sum(dim=1)
    return _first(against.argsort(descending=True, stable=True), count)


def lost_share_rule(bias: Tensor, count: int) -> Tensor:
    """Infer the forgotten samples' classes from the change of a batch's gradient: those whose entries grew most.

    The rule uses only the order of the entries: no sample numbers, and no probabilities.

    Args:
        bias: The last layer's bias in the batch's gradient after unlearning minus that before, `[classes]`.
        count: Number of forgotten samples.

    Returns:
        `[count]` int64.
    """
    return _first(bias.argsort(descending=True), count)


def count_rule(bias: Tensor, count: int, expected: Tensor) -> Tensor:
    """Infer the classes of several samples from the gradient of the last layer's bias.

    A class's entry is its mean probability minus its share of the samples. It is negative only for a class that is
    present, so these classes are taken first. The others follow from the rest, if the probabilities are replaced by
    those that the model gives to other images. For one sample this is iDLG's rule, and exact.

    Args:
        bias: Mean over the samples, `[classes]`.
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
        likeliest = int(shares.argmax())
        shares[likeliest] -= 1
        labels.append(likeliest)
    return torch.tensor(sorted(labels))


def bias_difference_rule(differences: Tensor) -> Tensor:
    """Infer the class of each sample from its proof: the class that lost the most confidence.

    In a difference of one sample's gradients at two models the label cancels, so that the sign rule fails. The bias's
    part is the difference of the two models' probabilities.

    Args:
        differences: The last layer's bias in each proof, before minus after unlearning, `[n, classes]`.

    Returns:
        `[n]` int64.
    """
    return differences.argmax(dim=1)


@dataclass(frozen=True)
class LastLayer:
    """Position of the last linear layer in a flattened gradient.

    Args:
        weights: Its weights, row by row.
        bias: Its bias.
    """

    weights: slice
    bias: slice

    def weights_of(self, gradient: Tensor) -> Tensor:
        """Cut the weights' part `[classes, features]` out of a gradient `[d]`."""
        return gradient[self.weights].unflatten(0, (self.bias.stop - self.bias.start, -1))


def last_layer(architecture: nn.Module) -> LastLayer:
    """Find the last linear layer.

    Args:
        architecture: The model.

    Raises:
        ModelError: The model has no linear layer, or the last one has no bias.
    """
    linear = [name for name, module in architecture.named_modules() if isinstance(module, nn.Linear)]
    prefix = f"{linear[-1]}." if linear and linear[-1] else ""
    places, start = {}, 0
    for name, parameter in architecture.named_parameters():
        places[name] = slice(start, start + parameter.numel())
        start += parameter.numel()
    if not linear or f"{prefix}bias" not in places:
        raise ModelError(
            f"{type(architecture).__name__} has no last linear layer with a bias, which inferring labels needs: use "
            "--attack.labels known or optimized."
        )
    return LastLayer(places[f"{prefix}weight"], places[f"{prefix}bias"])


@torch.no_grad()
def mean_confidence(architecture: nn.Module, parameters: Parameters, images: Tensor) -> Tensor:
    """Compute the mean probabilities that a model gives to images, `[classes]`.

    Args:
        architecture: The model.
        parameters: Its state dict.
        images: `[n, channels, height, width]`; at most the first 512 are used.
    """
    return _Confidence(architecture, parameters)(images[:_IMAGES]).mean(dim=0)


def _forgotten_labels(
    view: ServerView, mode: LabelMode, difference: Tensor, layer: LastLayer
) -> list[Tensor]:
    """The forgotten samples' classes of each batch, by the rule of the mode."""
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
    """The first classes of a ranking, repeated if there are more samples than classes."""
    return ranking[torch.arange(count) % len(ranking)]


class _Confidence:
    """A model as a black box: from images to probabilities."""

    def __init__(self, architecture: nn.Module, parameters: Parameters) -> None:
        self._network = architecture
        self._parameters = parameters

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        was_training = self._network.training
        self._network.eval()
        try:
            return functional_call(self._network, self._parameters, (images,)).softmax(dim=1)
        finally:
            self._network.train(was_training)
