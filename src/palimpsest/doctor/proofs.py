"""Checks of the proofs against the models and the true samples, and likely causes of a difference."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.artifacts.attestation import explain_numbering, named_models
from palimpsest.artifacts.images import LoadedSamples
from palimpsest.artifacts.models import Models
from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.doctor.finding import Finding, error, ok, warning
from palimpsest.doctor.inputs import COMMON_SCALINGS
from palimpsest.errors import PalimpsestError
from palimpsest.gradients import (
    gradient_differences,
    parameter_count,
    per_sample_gradients,
    trainable_parameters,
)
from palimpsest.models import load_parameters, renormalized
from palimpsest.proofs import Proofs

COMPARED = 16
"""Number of true samples whose proofs are recomputed."""
# Float32 gradients of one sample differ by up to 2e-3 between a batched and a single convolution (a ReLU at zero).
_SAME = 1e-2


def check_vectors(proofs: Proofs) -> Iterator[Finding]:
    """Report the proofs' count, length, norms and metadata.

    Args:
        proofs: The submitted proofs.
    """
    norms = proofs.vectors.norm(dim=1)
    zeros = int((norms == 0).sum())
    count, dimension = proofs.vectors.shape
    yield ok(
        "proofs",
        f"{count:,} of {dimension:,} numbers, all finite, norms {norms.min():.3g} to {norms.max():.3g}.",
    )
    if zeros:
        yield warning("proofs", f"{zeros:,} of them are zero. They leak nothing that could be attacked.")
    if not proofs.attested:
        yield warning("proofs", "They are unattested: their metadata does not say how they were made.")
    defenses = proofs.metadata.get("defenses", "[]")
    if defenses != "[]":
        yield warning(
            "proofs",
            f"Their metadata names the defenses {defenses[:200]}. Set --defenses, so that an attack can imitate them.",
        )


def check_attestation(proofs: Proofs, models: Models) -> Iterator[Finding]:
    """Compare the model hashes in the proofs' metadata with the checkpoints.

    Args:
        proofs: The submitted proofs.
        models: The two models.
    """
    named = named_models(proofs, models)
    reversed_models = replace(
        models, original=models.unlearned, unlearned=models.original, stored=models.stored[::-1]
    )
    exchanged = named_models(proofs, reversed_models)
    if len(named) == 2 and not any(named.values()) and all(exchanged.values()):
        yield error(
            "proofs", "They name the two checkpoints in reverse. Exchange --original and --unlearned."
        )
        return
    for which, matches in named.items():
        if matches:
            yield ok("proofs", f"They name the {which} checkpoint.")
        else:
            claimed = proofs.metadata[which][:16]
            yield warning(
                "proofs",
                f"They name another {which} model than the checkpoint, {claimed}... Check that they belong to this "
                "request.",
            )


def check_classes(proofs: Proofs, loaded: LoadedSamples) -> Iterator[Finding]:
    """Compare the numbering of classes in the proofs' metadata with that of the auxiliary samples.

    Args:
        proofs: The submitted proofs.
        loaded: The auxiliary samples.
    """
    difference = explain_numbering(proofs, loaded.numbering)
    if difference is not None:
        yield warning(
            "classes",
            f"{difference}\nSet --class-names to the names of all classes in the order of the federation's model.",
        )


def check_dimension(proofs: Proofs, network: nn.Module) -> Iterator[Finding]:
    """Compare the length of a proof with the number of trainable parameters, and guess the cause of a difference.

    Args:
        proofs: The submitted proofs, without defenses.
        network: The network with all its parameters.
    """
    dimension, trained = proofs.vectors.shape[1], trainable_parameters(network)
    counted, total = parameter_count(network), sum(parameter.numel() for parameter in network.parameters())
    which = "trainable parameters" if counted < total else "parameters"
    if dimension == counted:
        yield ok("dimension", f"A proof has one number for each of the {counted:,} {which}.")
        return
    if dimension == total:
        yield warning(
            "dimension",
            f"A proof has one number for each of the {total:,} parameters, but {total - counted:,} of them are frozen. "
            "The attack reads the trainable ones only. If clients train all, set --trainable '*'.",
        )
        return
    buffers = sum(buffer.numel() for buffer in network.buffers())
    hint = "The proofs belong to another network, or were defended."
    if dimension == total + buffers:
        hint = "The proofs include the buffers. Leave these out."
    else:
        for name, parameter in trained.items():
            if dimension == counted - parameter.numel():
                hint = f"The proofs may omit {name}."
    yield error(
        "dimension", f"A proof has {dimension:,} numbers, but the network has {counted:,} {which}. {hint}"
    )


def check_truth(
    vectors: Tensor, answers: Tensor, truth: SampleSet, models: Models | None
) -> Iterator[Finding]:
    """Check that the proofs are the true samples' gradient differences, and look for the cause if they are not.

    Args:
        vectors: The first proofs, `[n, d]`, without defenses.
        answers: The oracle's gradient differences of the first true samples, `[n, d]`.
        truth: The first true samples.
        models: The two models, with which more causes are tested. None if the user holds no checkpoints.
    """
    deviation = distance(answers, vectors)
    kind = "images" if isinstance(truth, ImageSet) else "samples"
    if deviation <= _SAME:
        yield ok(
            "truth",
            f"The proofs are the true {kind}' gradient differences (relative distance {deviation:.1e}, first "
            f"{len(vectors)}).",
        )
        return
    for explanation in _explanations(vectors, answers, truth, models):
        if explanation.distance <= _SAME:
            yield error(
                "truth",
                f"The proofs are not the true {kind}' gradient differences. {explanation.sentence}",
            )
            return
    cosine = float(F.cosine_similarity(answers, vectors).median())
    yield error(
        "truth",
        f"The proofs are not the true {kind}' gradient differences (relative distance {deviation:.2g}, cosine "
        f"{cosine:.2f}). Check the {kind}' order, the labels, the preprocessing (mean, std, image_size, channels), the "
        "loss (mean cross-entropy), the defenses, and that the proofs were made from these checkpoints.",
    )


@dataclass(frozen=True)
class Explanation:
    """A possible cause of a difference, and the proofs' distance from the vectors that it predicts.

    Args:
        sentence: The cause and the remedy, for a message.
        distance: The relative distance, as from `distance`.
    """

    sentence: str
    distance: float


def distance(answers: Tensor, vectors: Tensor) -> float:
    """Return the median over the rows of ||a - v|| / ||v||.

    Args:
        answers: The vectors to compare, `[n, d]`.
        vectors: The reference vectors, `[n, d]`.
    """
    return float(((answers - vectors).norm(dim=1) / vectors.norm(dim=1).clamp_min(1e-30)).median())


def _explanations(
    vectors: Tensor, answers: Tensor, truth: SampleSet, models: Models | None
) -> Iterator[Explanation]:
    from scipy.optimize import linear_sum_assignment

    yield Explanation(
        "They are unlearned minus original. Exchange the checkpoints, or change the proofs' sign.",
        distance(-answers, vectors),
    )
    scale = float((answers * vectors).sum() / answers.square().sum().clamp_min(1e-30))
    yield Explanation(
        f"They are {scale:.4g} times as long. Check the loss and whether it is a mean over the batch.",
        distance(scale * answers, vectors),
    )
    similarity = F.normalize(vectors) @ F.normalize(answers).T
    order = torch.tensor(linear_sum_assignment(similarity.numpy(), maximize=True)[1])
    yield Explanation("They are in another order than the true samples.", distance(answers[order], vectors))
    if models is not None:
        yield from _explanations_by_models(vectors, truth, models)


def _explanations_by_models(vectors: Tensor, truth: SampleSet, models: Models) -> Iterator[Explanation]:
    """Recompute the gradients in other ways, and compare each with the proofs."""
    images, labels, (first, second) = truth.inputs, truth.labels, (models.original, models.unlearned)

    def explained(sentence: str, make: Callable[[], Tensor]) -> Explanation:
        try:
            return Explanation(sentence, distance(make().cpu(), vectors))
        except PalimpsestError:
            return Explanation(sentence, float("inf"))

    yield explained(
        "They are gradients of the original model alone.", lambda: per_sample_gradients(first, images, labels)
    )
    yield explained(
        "They are gradients of the unlearned model alone.",
        lambda: per_sample_gradients(second, images, labels),
    )
    yield explained(
        "They hold the parameters in alphabetical order, not in the order of named_parameters().",
        lambda: _sorted(gradient_differences(first, second, images, labels), first),
    )
    scalings = COMMON_SCALINGS if isinstance(truth, ImageSet) else ()
    for scaling in scalings:
        if len(scaling.mean) in (1, truth.shape[0]):
            before, after = (
                renormalized(model, scaling.mean, scaling.std).eval().to(_device(first))
                for model in (first, second)
            )
            yield explained(
                f"They were made with {scaling.name}. Set --mean and --std accordingly.",
                lambda before=before, after=after: gradient_differences(before, after, images, labels),
            )
    yield explained(
        "They were made in training mode. Make them in evaluation mode, where a sample's gradient does not depend on "
        "other samples.",
        lambda: _in_training(first, images, labels) - _in_training(second, images, labels),
    )


def _sorted(vectors: Tensor, model: nn.Module) -> Tensor:
    sizes = {name: parameter.numel() for name, parameter in trainable_parameters(model).items()}
    blocks = dict(zip(sizes, vectors.split(list(sizes.values()), dim=1), strict=True))
    return torch.cat([blocks[name] for name in sorted(blocks)], dim=1)


def _in_training(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Compute each sample's gradient as a batch of one in training mode, and restore the model."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    device, parameters = _device(model), list(trainable_parameters(model).values())
    model.train()
    rows = []
    try:
        for image, label in zip(images.to(device), labels.to(device), strict=True):
            loss = F.cross_entropy(model(image[None]), label[None])
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            rows.append(
                torch.cat(
                    [
                        (torch.zeros_like(parameter) if gradient is None else gradient).flatten()
                        for gradient, parameter in zip(gradients, parameters, strict=True)
                    ]
                )
            )
    # Some layers can't compute batch statistics of a single sample.
    except ValueError:
        return torch.full((len(images), parameter_count(model)), torch.inf)
    finally:
        model.eval()
        load_parameters(model, state)
    return torch.stack(rows)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
