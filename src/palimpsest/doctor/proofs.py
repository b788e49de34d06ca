"""Were the proofs made by these models, of these samples, as they are made here?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from palimpsest.artifacts.attestation import named_models
from palimpsest.artifacts.models import Models
from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.doctor.finding import Finding, error, ok, warning
from palimpsest.doctor.inputs import READINGS
from palimpsest.errors import PalimpsestError
from palimpsest.gradients import gradient_differences, per_sample_gradients
from palimpsest.models import Normalized, bare
from palimpsest.proofs import Proofs

COMPARED = 16
"""True samples whose proofs are made again."""
# Float32 gradients of one sample differ by up to 2e-3 between a batched and a single convolution (a ReLU at zero).
_SAME = 1e-2


def check_vectors(proofs: Proofs) -> Iterator[Finding]:
    """Count, length and norms of the proofs, and what their sender says."""
    norms = proofs.vectors.norm(dim=1)
    zeros = int((norms == 0).sum())
    count, dimension = proofs.vectors.shape
    yield ok(
        "proofs",
        f"{count:,} of {dimension:,} numbers, all finite, norms {norms.min():.3g} to {norms.max():.3g}.",
    )
    if zeros:
        yield warning("proofs", f"{zeros:,} of them are zero: there is nothing in them to attack.")
    if not proofs.attested:
        yield warning("proofs", "Nothing is said of how they were made: they are unattested.")
    told = proofs.metadata.get("defenses", "[]")
    if told != "[]":
        yield warning(
            "proofs",
            f"Their sender names the defenses {told[:200]}: set defenses, so that an attack can imitate them.",
        )


def check_attestation(proofs: Proofs, models: Models) -> Iterator[Finding]:
    """Whether the proofs name these two models."""
    named = named_models(proofs, models)
    exchanged = named_models(proofs, replace(models, original=models.unlearned, unlearned=models.original))
    if len(named) == 2 and not any(named.values()) and all(exchanged.values()):
        yield error(
            "proofs", "They name the two checkpoints the other way round: exchange original and unlearned."
        )
        return
    for which, same in named.items():
        if same:
            yield ok("proofs", f"They name the {which} checkpoint.")
        else:
            claimed = proofs.metadata[which][:16]
            yield warning("proofs", f"They name another {which} model than the checkpoint: {claimed}...")


def check_dimension(proofs: Proofs, network: nn.Module, frozen: int) -> Iterator[Finding]:
    """Whether a proof is as long as the network's gradient, and if not, what it may be.

    Args:
        proofs: As they were handed in, without defenses.
        network: With all its parameters.
        frozen: Parameters that the factory made with `requires_grad=False`.
    """
    dimension = proofs.vectors.shape[1]
    counted = sum(parameter.numel() for parameter in network.parameters())
    if dimension == counted:
        yield ok("dimension", f"A proof has a number for each of the {counted:,} parameters.")
        return
    buffers = sum(buffer.numel() for buffer in network.buffers())
    hint = "they belong to another network, or were defended"
    if dimension == counted - frozen:
        hint = "they leave the frozen parameters out; put zeros in their places"
    elif dimension == counted + buffers:
        hint = "they hold the buffers too; leave those out"
    else:
        for name, parameter in network.named_parameters():
            if dimension == counted - parameter.numel():
                hint = f"they may leave {name} out"
    yield error(
        "dimension", f"A proof has {dimension:,} numbers and the network {counted:,} parameters: {hint}."
    )


def check_truth(
    vectors: Tensor, answers: Tensor, truth: SampleSet, models: Models | None
) -> Iterator[Finding]:
    """That the true samples score zero: their gradient differences are the proofs.

    Args:
        vectors: The first proofs, `[n, d]`, without defenses.
        answers: The oracle's gradient differences of the first true samples, `[n, d]`.
        truth: Those samples.
        models: The two models, where they are held, to find out what was done otherwise.
    """
    off = distance(answers, vectors)
    what = "images" if isinstance(truth, ImageSet) else "samples"
    if off <= _SAME:
        yield ok(
            "truth",
            f"The true {what} score zero: their gradient differences are the proofs (relative distance {off:.1e}, "
            f"first {len(vectors)}).",
        )
        return
    for explanation in _explanations(vectors, answers, truth, models):
        if explanation.distance <= _SAME:
            yield error(
                "truth", f"The proofs are not these {what}' gradient differences: {explanation.words}."
            )
            return
    cosine = float(F.cosine_similarity(answers, vectors).median())
    yield error(
        "truth",
        f"The proofs are not these {what}' gradient differences (relative distance {off:.2g}, cosine {cosine:.2f}): "
        f"check the {what}' order, the labels, how they come to the network (mean, std, image_size, channels), the "
        "loss (mean cross-entropy), defenses, and that the checkpoints are those that the proofs were made with.",
    )


@dataclass(frozen=True)
class Explanation:
    """What may have been done otherwise, and how far the proofs are from that."""

    words: str
    distance: float


def distance(answers: Tensor, vectors: Tensor) -> float:
    """The median over the rows of ||a - v|| / ||v||."""
    return float(((answers - vectors).norm(dim=1) / vectors.norm(dim=1).clamp_min(1e-30)).median())


def _explanations(
    vectors: Tensor, answers: Tensor, truth: SampleSet, models: Models | None
) -> Iterator[Explanation]:
    yield Explanation(
        "they are unlearned minus original; exchange the checkpoints, or change their sign",
        distance(-answers, vectors),
    )
    scale = float((answers * vectors).sum() / answers.square().sum().clamp_min(1e-30))
    yield Explanation(
        f"they are {scale:.4g} times as long; the loss or its mean is another",
        distance(scale * answers, vectors),
    )
    alike = F.normalize(vectors) @ F.normalize(answers).T
    order = torch.tensor(linear_sum_assignment(alike.numpy(), maximize=True)[1])
    yield Explanation("they stand in another order than the images", distance(answers[order], vectors))
    if models is not None:
        yield from _otherwise(vectors, truth, models)


def _otherwise(vectors: Tensor, truth: SampleSet, models: Models) -> Iterator[Explanation]:
    """The same gradients, made in other ways."""
    images, labels, (first, second) = truth.inputs, truth.labels, (models.original, models.unlearned)

    def explained(words: str, make: Callable[[], Tensor]) -> Explanation:
        try:
            return Explanation(words, distance(make().cpu(), vectors))
        except PalimpsestError:
            return Explanation(words, float("inf"))

    yield explained(
        "they are the original model's gradients alone", lambda: per_sample_gradients(first, images, labels)
    )
    yield explained(
        "they are the unlearned model's gradients alone", lambda: per_sample_gradients(second, images, labels)
    )
    yield explained(
        "they hold the parameters in alphabetical order, not in that of named_parameters()",
        lambda: _sorted(gradient_differences(first, second, images, labels), first),
    )
    readings = READINGS if isinstance(truth, ImageSet) else ()
    networks = [bare(model) for model in (first, second)]
    for reading in readings:
        if len(reading.mean) in (1, truth.shape[0]):
            before, after = (
                Normalized(one, reading.mean, reading.std).to(_device(first)) for one in networks
            )
            yield explained(
                f"they were made of {reading.words}; set mean and std accordingly",
                lambda before=before, after=after: gradient_differences(before, after, images, labels),
            )
    yield explained(
        "they were made in training mode; make them in evaluation mode, where a sample's gradient is its own",
        lambda: _in_training(first, images, labels) - _in_training(second, images, labels),
    )


def _sorted(vectors: Tensor, model: nn.Module) -> Tensor:
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    pieces = dict(zip(sizes, vectors.split(list(sizes.values()), dim=1), strict=True))
    return torch.cat([pieces[name] for name in sorted(pieces)], dim=1)


def _in_training(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Each sample's gradient as a batch of one in training mode; the model is left as it was."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    device = _device(model)
    model.train()
    rows = []
    try:
        for image, label in zip(images.to(device), labels.to(device), strict=True):
            loss = F.cross_entropy(model(image[None]), label[None])
            pieces = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
            rows.append(
                torch.cat(
                    [
                        (torch.zeros_like(parameter) if piece is None else piece).flatten()
                        for piece, parameter in zip(pieces, model.parameters(), strict=True)
                    ]
                )
            )
    # A batch of one has no batch statistics at all in some layers.
    except ValueError:
        return torch.full((len(images), sum(map(torch.numel, model.parameters()))), torch.inf)
    finally:
        model.eval()
        model.load_state_dict(state)
    return torch.stack(rows)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
