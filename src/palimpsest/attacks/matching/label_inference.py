"""Which classes a batch's samples have, read from gradients."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from palimpsest.attacks.matching.label_probing import probe_labels
from palimpsest.attacks.server_view import ServerView
from palimpsest.errors import KnowledgeError, ModelError
from palimpsest.storage import Parameters

LabelMode = Literal["known", "inferred", "inferred-sign", "inferred-difference", "probed", "optimised"]
INFERRING: tuple[LabelMode, ...] = ("inferred", "inferred-sign", "inferred-difference", "probed")
"""The modes that find the classes before the search, from gradients or confidences."""


def believed_labels(
    view: ServerView, mode: LabelMode, difference: Tensor, *, generator: Generator
) -> Tensor | None:
    """What an attack takes for the samples' classes.

    Args:
        view: What the server holds.
        mode: How the classes are had. `known`: from the view. `inferred`: by `count_rule`. The other three infer the
            remaining samples' classes in the same way, and the forgotten ones' as follows. `inferred-sign`: by
            `sign_rule`. `inferred-difference`: by `lost_share_rule`. `probed`: from the two models' confidences, by
            `probe_labels`. `optimised` believes nothing.
        difference: The attack's estimate of the forgotten samples' mean gradient, `[b, d]`, of any scale.
        generator: Where probing images come from.

    Returns:
        `[b, n_r + n_f]` int64, the remaining samples first, or none if the attack shall find the classes itself.

    Raises:
        KnowledgeError: The labels are to be known, and the view lacks them.
        ModelError: There is no last linear layer with a bias to infer labels from.
    """
    if mode == "optimised":
        return None
    if mode == "known":
        if view.labels is None:
            raise KnowledgeError("The labels are not known to this server: use --attack.labels inferred.")
        return torch.cat([view.labels.remaining, view.labels.forgotten], dim=1)
    seen = view.observation
    layer = last_layer(view.architecture)
    expected = mean_confidence(view.architecture, seen.after, view.public.images)
    stay = torch.stack(
        [count_rule(gradient[layer.bias], seen.remaining, expected) for gradient in seen.gradients_after]
    )
    if mode == "inferred":
        expected = mean_confidence(view.architecture, seen.before, view.public.images)
        leave = [count_rule(gradient[layer.bias], seen.forgotten, expected) for gradient in difference]
    elif mode == "inferred-sign":
        leave = [sign_rule(layer.weights_of(gradient), seen.forgotten) for gradient in difference]
    elif mode == "inferred-difference":
        lost = (seen.gradients_after - seen.gradients_before)[:, layer.bias]
        leave = [lost_share_rule(one, seen.forgotten) for one in lost]
    else:
        networks = [_Confidence(view.architecture, parameters) for parameters in (seen.before, seen.after)]
        ranking = probe_labels(
            *networks, shape=view.public.shape, classes=view.public.classes, generator=generator
        )
        leave = [_first(ranking, seen.forgotten)] * len(stay)
    return torch.cat([stay, torch.stack(leave)], dim=1)


def _first(ranking: Tensor, count: int) -> Tensor:
    """The first classes of a ranking, and from the start again where there are more samples than classes."""
    return ranking[torch.arange(count) % len(ranking)]


def sign_rule(weights: Tensor, count: int = 1) -> Tensor:
    """The class of a single sample (iDLG, Eq. 5): its row of the last layer's gradient points against all others.

    Each row is a number times the sample's features. The number is the class's probability, less one for the sample's
    own class: negative there, and nowhere else. Of several samples' mean the paper says nothing: here the rows that
    point against most others come first.

    Args:
        weights: The gradient of the last layer's weights, `[classes, features]`.
        count: How many samples it is the mean of.

    Returns:
        `[count]` int64.
    """
    products = weights @ weights.T
    against = (products.fill_diagonal_(0) < 0).sum(dim=1)
    return _first(against.argsort(descending=True, stable=True), count)


def lost_share_rule(bias: Tensor, count: int) -> Tensor:
    """The forgotten samples' classes from the change of a batch's gradient: those whose entries grew most.

    Of the two gradients' difference this needs nothing but its order: no numbers of samples, and no probabilities.

    Args:
        bias: The last layer's bias in the batch's gradient after unlearning less that before it, `[classes]`.
        count: How many samples were forgotten.

    Returns:
        `[count]` int64.
    """
    return _first(bias.argsort(descending=True), count)


def count_rule(bias: Tensor, count: int, expected: Tensor) -> Tensor:
    """The classes of several samples, from the gradient of the last layer's bias over all of them.

    A class's entry is its mean probability less its share of the samples: it is negative only for a class that is
    there, so these are taken first. The others follow from what is left when the probabilities are replaced by those
    that the model gives to other images. For one sample this is iDLG's rule, and exact.

    Args:
        bias: `[classes]`, the mean over the samples.
        count: How many samples there are.
        expected: The model's mean probabilities, `[classes]`.

    Returns:
        `[count]` int64, sorted.
    """
    present = bias.argsort()[: min(count, int((bias < 0).sum()))]
    shares = (expected - bias) * count
    shares[present] -= 1
    found = present.tolist()
    while len(found) < count:
        likeliest = int(shares.argmax())
        shares[likeliest] -= 1
        found.append(likeliest)
    return torch.tensor(sorted(found))


def bias_difference_rule(differences: Tensor) -> Tensor:
    """The class of each sample from a proof: the one that lost most confidence.

    In a difference of one sample's gradients at two models the label itself cancels, which defeats the sign rule. The
    bias's part is the difference of the two models' probabilities.

    Args:
        differences: The last layer's bias in each proof, before less after unlearning, `[n, classes]`.

    Returns:
        `[n]` int64.
    """
    return differences.argmax(dim=1)


@dataclass(frozen=True)
class LastLayer:
    """Where the last linear layer stands in a flattened gradient.

    Args:
        weights: Its weights, row by row.
        bias: Its bias.
    """

    weights: slice
    bias: slice

    def weights_of(self, gradient: Tensor) -> Tensor:
        """The layer's part of a gradient `[d]`, `[classes, features]`."""
        return gradient[self.weights].unflatten(0, (self.bias.stop - self.bias.start, -1))


def last_layer(architecture: nn.Module) -> LastLayer:
    """Find the last linear layer.

    Args:
        architecture: The model.

    Raises:
        ModelError: There is none, or it has no bias.
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
            "--attack.labels known or optimised."
        )
    return LastLayer(places[f"{prefix}weight"], places[f"{prefix}bias"])


@torch.no_grad()
def mean_confidence(architecture: nn.Module, parameters: Parameters, images: Tensor) -> Tensor:
    """The mean probabilities that a model gives to images, `[classes]`.

    Args:
        architecture: The model.
        parameters: Its state dict.
        images: `[n, channels, height, width]`; at most 512 of them are used.
    """
    return _Confidence(architecture, parameters)(images[:512]).mean(dim=0)


class _Confidence:
    """A model as a black box: images in, probabilities out."""

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
