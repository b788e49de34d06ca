"""Which classes a batch's samples have, read from gradients."""

from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from palimpsest.attacks.probing import probe_labels
from palimpsest.attacks.server import ServerView
from palimpsest.errors import KnowledgeError, ModelError
from palimpsest.records import Parameters

LabelMode = Literal["known", "inferred", "probed", "optimised"]


def believed_labels(
    view: ServerView, mode: LabelMode, difference: Tensor, *, generator: Generator
) -> Tensor | None:
    """What an attack takes for the samples' classes.

    Args:
        view: What the server holds.
        mode: known, inferred from the gradients of the last layer's bias, probed (the forgotten samples' classes only,
            from the two models' confidences; the remaining ones' are inferred), or optimised, which believes nothing.
        difference: The attack's estimate of the forgotten samples' mean gradient, `[b, d]`, of any scale.
        generator: Where probing images come from.

    Returns:
        `[b, n_r + n_f]` int64, the remaining samples first, or none if the attack shall find the classes itself.

    Raises:
        KnowledgeError: The labels are to be known, and the view lacks them.
        ModelError: The last layer has no bias to infer labels from.
    """
    if mode == "optimised":
        return None
    if mode == "known":
        if view.labels is None:
            raise KnowledgeError("The labels are not known to this server: use --attack.labels inferred.")
        return torch.cat([view.labels.remaining, view.labels.forgotten], dim=1)
    seen = view.observation
    bias = last_bias(view.architecture)
    expected = mean_confidence(view.architecture, seen.after, view.public.images)
    stay = torch.stack(
        [count_rule(gradient[bias], seen.remaining, expected) for gradient in seen.gradients_after]
    )
    if mode == "probed":
        networks = [_Confidence(view.architecture, parameters) for parameters in (seen.before, seen.after)]
        ranking = probe_labels(
            *networks, shape=view.public.shape, classes=view.public.classes, generator=generator
        )
        leave = ranking[torch.arange(seen.forgotten) % len(ranking)].expand(len(stay), -1)
    else:
        expected = mean_confidence(view.architecture, seen.before, view.public.images)
        leave = torch.stack([count_rule(gradient[bias], seen.forgotten, expected) for gradient in difference])
    return torch.cat([stay, leave], dim=1)


def sign_rule(weights: Tensor) -> int:
    """The class of a single sample (iDLG, Eq. 5): its row of the last layer's gradient points against all others.

    Each row is a number times the sample's features. The number is the class's probability, less one for the sample's
    own class: negative there, and nowhere else.

    Args:
        weights: The gradient of the last layer's weights over one sample, `[classes, features]`.
    """
    products = weights @ weights.T
    against = (products.fill_diagonal_(0) < 0).sum(dim=1)
    return int(against.argmax())


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


def last_bias(architecture: nn.Module) -> slice:
    """Where the last linear layer's bias stands in a flattened gradient.

    Args:
        architecture: The model.

    Raises:
        ModelError: There is no last linear layer, or it has no bias.
    """
    linear = [name for name, module in architecture.named_modules() if isinstance(module, nn.Linear)]
    wanted, start = f"{linear[-1]}.bias".lstrip(".") if linear else "", 0
    for name, parameter in architecture.named_parameters():
        if name == wanted:
            return slice(start, start + parameter.numel())
        start += parameter.numel()
    raise ModelError(
        f"{type(architecture).__name__} has no last linear layer with a bias, which inferring labels needs: use "
        "--attack.labels known or optimised."
    )


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
