"""Do the pieces of a server's case fit: is the attack's objective zero where the true images are put in?"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from palimpsest.artifacts.config import ArtifactsConfig
from palimpsest.artifacts.images import in_classes
from palimpsest.artifacts.server import ServerArtifacts, images_of, load_public, load_server_artifacts
from palimpsest.attacks import BatchLabels, Knowledge, MatchingAttack
from palimpsest.doctor.finding import Finding, error, guarded, ok, tried, warning
from palimpsest.doctor.inputs import check_accuracy, check_range
from palimpsest.doctor.models import examine_models
from palimpsest.federation import Observation

# Gradients in float32 and images in 8 bits leave less than this of an objective whose unit is the gradient itself.
_ZERO = 1e-5
# A gradient that is a multiple of ours to this precision was scaled, and is not another's.
_PARALLEL = 1e-5


def examine_server(config: ArtifactsConfig, *, data_dir: Path | None, device: str) -> Iterator[Finding]:
    """Everything that a server's attack stands on; what depends on a piece that does not fit is passed over.

    Args:
        config: The case.
        data_dir: A mirror of the published sets.
        device: Where the models compute.
    """
    public = yield from tried("images", lambda: images_of(load_public(config, data_dir=data_dir)))
    if public is None:
        return
    models = yield from examine_models(config, public, device=device)
    if models is None:
        return
    images = yield from tried("classes", lambda: in_classes(public, models.classes))
    if images is None:
        return
    yield from check_range(images)
    yield from check_accuracy(models.original, images, device)
    seen = yield from tried(
        "gradients", lambda: load_server_artifacts(config, data_dir=data_dir, device=device)
    )
    if seen is None:
        return
    yield from check_observation(seen)
    yield from guarded("attack", check_objective(config, seen, device=device))


def check_observation(seen: ServerArtifacts) -> Iterator[Finding]:
    """How many batches there are, how long their gradients, and whether labels came with them."""
    observation = seen.observed.observation
    batches, dimension = observation.gradients_before.shape
    norms = torch.cat([observation.gradients_before, observation.gradients_after]).norm(dim=1)
    if not bool(norms.all()):
        yield error(
            "gradients", f"{int((norms == 0).sum())} of {2 * batches} are zero: nothing can be read there."
        )
    yield ok(
        "gradients",
        f"{batches:,} batches of {observation.retained} retained and {observation.forgotten} forgotten samples, "
        f"{dimension:,} numbers each, norms {float(norms.min()):.3g} to {float(norms.max()):.3g}.",
    )
    if torch.equal(observation.gradients_before, observation.gradients_after):
        yield error("gradients", "Those before and after unlearning are the same: nothing was forgotten.")


def check_objective(config: ArtifactsConfig, seen: ServerArtifacts, *, device: str) -> Iterator[Finding]:
    """What the attack's objective says of the true images: zero where model, observation and loss fit together.

    Args:
        config: The case.
        seen: Its pieces.
        device: Where the models compute.
    """
    attack = config.attack.build()
    if Knowledge.LABELS in attack.knowledge and seen.observed.labels is None:
        yield error(
            "labels",
            f"{config.attack.name} is to know the labels, and the gradients' file has none: add labels_retained and "
            "labels_forgotten to it, or set --attack.labels inferred.",
        )
    if seen.forgotten is None or seen.retained is None:
        yield warning(
            "truth",
            "The forgotten and the retained images are not both given (truth, retained_truth): whether the attack's "
            "objective is zero for them can't be said.",
        )
        return
    if not isinstance(attack, MatchingAttack):
        yield warning("truth", f"{config.attack.name} matches no gradients: it has no objective to check.")
        return
    batches = len(seen.observed.observation.gradients_before)
    labels = BatchLabels(seen.retained.labels.view(batches, -1), seen.forgotten.labels.view(batches, -1))
    if seen.observed.labels is not None:
        yield from _check_labels(seen.observed.labels, labels)
    yield from _check_zero(config, seen, attack, labels, device=device)


def _check_zero(
    config: ArtifactsConfig,
    seen: ServerArtifacts,
    attack: MatchingAttack,
    labels: BatchLabels,
    *,
    device: str,
) -> Iterator[Finding]:
    """Whether the true images bring the attack's objective to zero, and if not, why."""
    assert seen.forgotten is not None, "refused without the truth"
    assert seen.retained is not None, "refused without the truth"
    observation = seen.observed.observation
    batches = len(observation.gradients_before)
    stay, leave = (images.images.unflatten(0, (batches, -1)) for images in (seen.retained, seen.forgotten))
    view = seen.view(attack, device=device, memory_budget=config.memory_budget)

    def worst_objectives(precision: str) -> dict[str, float]:
        same = attack.model_copy(update={"precision": precision})
        return {
            name: float(values.max())
            for name, values in same.check_objective(view, stay, leave, labels).items()
        }

    # In the clients' own precision: their rounding is in what they sent.
    worst = worst_objectives("float32")
    told = ", ".join(f"{name} {value:.1g}" for name, value in worst.items())
    if max(worst.values()) <= _ZERO:
        yield ok("objective", f"Zero for the true images ({told}; the gradient itself is 1).")
        floor = max(worst_objectives(attack.precision).values())
        if floor > _ZERO:
            yield warning(
                "objective",
                f"In {attack.precision}, in which the attack computes, the rounding in what clients sent leaves up to "
                f"{floor:.1g}: of samples that the model fits well a gradient is little more than that.",
            )
        return
    # Known causes are looked for with the plain gradient, whatever the attack makes of it.
    causes = list(_causes(observation, seen, stay, leave, labels))
    if causes:
        yield error("objective", f"Not zero for the true images ({told}). {' '.join(causes)}")
    else:
        yield warning(
            "objective",
            f"Not zero for the true images ({told}), although both gradients are theirs: {config.attack.name} "
            "estimates the forgotten samples' gradient from a difference, which is exact only where unlearning left "
            "the parameters as they were (or, for the change of parameters, was one step on the forgotten samples).",
        )


def _causes(
    observation: Observation, seen: ServerArtifacts, stay: Tensor, leave: Tensor, labels: BatchLabels
) -> Iterator[str]:
    """Why the true images do not explain a gradient, as far as can be told."""
    gradient = observation.gradient(seen.models.architecture)
    parts = {
        "before": (
            observation.before,
            torch.cat([stay, leave], 1),
            torch.cat([labels.retained, labels.forgotten], 1),
        ),
        "after": (observation.after, stay, labels.retained),
    }
    for when, (parameters, images, classes) in parts.items():
        targets = torch.nn.functional.one_hot(classes, seen.models.classes).float()
        ours = torch.stack([gradient(parameters, *batch) for batch in zip(images, targets, strict=True)])
        brought = observation.gradients_before if when == "before" else observation.gradients_after
        ratio = float((ours * brought).sum() / ours.square().sum())
        off = float((brought - ratio * ours).square().sum() / brought.square().sum())
        if off > _PARALLEL:
            yield (
                f"The gradients {when} unlearning are not the true images' ({off:.1%} of their square is something "
                "else): check the order of the batches, the labels, the normalization, the steps, and that they were "
                "taken in evaluation mode."
            )
        elif abs(ratio - 1) > 1e-3:
            yield (
                f"The gradients {when} unlearning are {ratio:.4g} times the true images': bring those of the mean loss "
                f"over the batch, not of its sum (a batch has {images.shape[1]} samples), and of minus the step's size "
                "for updates."
            )


def _check_labels(brought: BatchLabels, true: BatchLabels) -> Iterator[Finding]:
    for part, tensor in (("retained", "labels_retained"), ("forgotten", "labels_forgotten")):
        given, expected = (getattr(one, part).sort(dim=1).values for one in (brought, true))
        if not torch.equal(given, expected):
            wrong = int((given != expected).any(dim=1).sum())
            yield error(
                "labels",
                f"{tensor} are not those of the true images in {wrong} of {len(given)} batches: check the "
                "order of the batches and the numbering of the classes.",
            )
