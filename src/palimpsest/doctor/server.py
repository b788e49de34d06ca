"""Examination of the artifacts of an attack by the server, including its objective at the true images."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from palimpsest.artifacts.config import ArtifactsConfig
from palimpsest.artifacts.images import numbered
from palimpsest.artifacts.server import ServerArtifacts, images_of, load_public, load_server_artifacts
from palimpsest.attacks import DRAGDP, BatchLabels, Knowledge, MatchingAttack, Strongest
from palimpsest.doctor.finding import Finding, error, guarded, ok, tried, warning
from palimpsest.doctor.inputs import check_accuracy, check_range
from palimpsest.doctor.models import examine_models
from palimpsest.federation import Observation

# Float32 gradients and 8-bit images leave less than this in an objective that is relative to the gradient.
_ZERO = 1e-5
# A gradient that is a multiple of the expected one to this precision was scaled, and belongs to the same images.
_PARALLEL = 1e-5


def examine_server(config: ArtifactsConfig, *, data_dir: Path | None, device: str) -> Iterator[Finding]:
    """Check the artifacts of an attack by the server; checks that depend on an artifact with an error are skipped.

    Args:
        config: The artifacts and the attack.
        data_dir: A local mirror of the published data sets. If None, they come from the hub.
        device: The device of the models.
    """
    loaded = yield from tried("images", lambda: load_public(config, data_dir=data_dir))
    public = None if loaded is None else (yield from tried("images", lambda: images_of(loaded)))
    if loaded is None or public is None:
        return
    models = yield from examine_models(config, public, device=device)
    if models is None:
        return
    classes = models.classes
    images = yield from tried("classes", lambda: images_of(numbered(loaded, config.auxiliary, classes)))
    if images is None:
        return
    yield from check_range(images)
    yield from check_accuracy(models.original, images, device)
    artifacts = yield from tried(
        "gradients", lambda: load_server_artifacts(config, data_dir=data_dir, device=device)
    )
    if artifacts is None:
        return
    yield from check_observation(artifacts)
    yield from guarded("attack", check_objective(config, artifacts, device=device))


def check_observation(artifacts: ServerArtifacts) -> Iterator[Finding]:
    """Report the number of batches and the length and norms of their gradients.

    Args:
        artifacts: The loaded artifacts.
    """
    observation = artifacts.observed.observation
    batches, dimension = observation.gradients_before.shape
    norms = torch.cat([observation.gradients_before, observation.gradients_after]).norm(dim=1)
    if not bool(norms.all()):
        yield error(
            "gradients", f"{int((norms == 0).sum())} of {2 * batches} gradients are zero. They leak nothing."
        )
    yield ok(
        "gradients",
        f"{batches:,} batches of {observation.retained} retained and {observation.forgotten} forgotten samples, "
        f"{dimension:,} numbers each, norms {float(norms.min()):.3g} to {float(norms.max()):.3g}.",
    )
    if torch.equal(observation.gradients_before, observation.gradients_after):
        yield error(
            "gradients", "The gradients before and after unlearning are equal, so nothing was forgotten."
        )


def check_objective(config: ArtifactsConfig, artifacts: ServerArtifacts, *, device: str) -> Iterator[Finding]:
    """Evaluate the attack's objective at the true images: zero if models, gradients and loss are consistent.

    Args:
        config: The artifacts and the attack.
        artifacts: The loaded artifacts.
        device: The device of the models.
    """
    attack = config.attack.build()
    if isinstance(attack, Strongest):
        # One member is enough: models, gradients and loss are the same for all.
        attack = DRAGDP()
    elif Knowledge.LABELS in attack.knowledge and artifacts.observed.labels is None:
        yield error(
            "labels",
            f"{config.attack.name} needs the labels, but the file of gradients has none. Add labels_retained and "
            "labels_forgotten to it, or set --attack.labels inferred.",
        )
    if artifacts.defenses:
        yield warning(
            "truth",
            "The gradients have noise, so the attack's objective is not checked at the true images.",
        )
        return
    if artifacts.forgotten is None or artifacts.retained is None:
        yield warning(
            "truth",
            "The attack's objective can't be checked at the true images. Give both the forgotten images (--truth) and "
            "the retained images (--retained-truth).",
        )
        return
    if not isinstance(attack, MatchingAttack):
        yield warning(
            "truth", f"{config.attack.name} does not match gradients, so it has no objective to check."
        )
        return
    batches = len(artifacts.observed.observation.gradients_before)
    labels = BatchLabels(
        artifacts.retained.labels.view(batches, -1), artifacts.forgotten.labels.view(batches, -1)
    )
    if artifacts.observed.labels is not None:
        yield from _check_labels(artifacts.observed.labels, labels)
    yield from _check_zero(config, artifacts, attack, labels, device=device)


def _check_zero(
    config: ArtifactsConfig,
    artifacts: ServerArtifacts,
    attack: MatchingAttack,
    labels: BatchLabels,
    *,
    device: str,
) -> Iterator[Finding]:
    """Check that the attack's objective is zero at the true images, and look for causes if it is not."""
    assert artifacts.forgotten is not None, "check_objective returns without the truth"
    assert artifacts.retained is not None, "check_objective returns without the truth"
    observation = artifacts.observed.observation
    batches = len(observation.gradients_before)
    retained, forgotten = (
        images.images.unflatten(0, (batches, -1)) for images in (artifacts.retained, artifacts.forgotten)
    )
    view = artifacts.view(attack, device=device, memory_budget=config.memory_budget)

    def worst_objectives(precision: str) -> dict[str, float]:
        same = attack.model_copy(update={"precision": precision})
        return {
            name: float(values.max())
            for name, values in same.check_objective(view, retained, forgotten, labels).items()
        }

    # Clients compute in float32, so their gradients contain its rounding.
    worst = worst_objectives("float32")
    values = ", ".join(f"{name} {value:.1g}" for name, value in worst.items())
    if max(worst.values()) <= _ZERO:
        yield ok("objective", f"Zero at the true images ({values}, relative to the gradient).")
        floor = max(worst_objectives(attack.precision).values())
        if floor > _ZERO:
            yield warning(
                "objective",
                f"The attack computes in {attack.precision}, where rounding leaves up to {floor:.1g}. The gradient "
                "of a sample that the model fits well is hardly larger.",
            )
        return
    # The causes concern the gradients themselves, so they don't depend on the attack's objective.
    causes = list(_causes(observation, artifacts, retained, forgotten, labels))
    if causes:
        yield error("objective", f"Not zero at the true images ({values}). {' '.join(causes)}")
    else:
        yield warning(
            "objective",
            f"Not zero at the true images ({values}), although both gradients are correct. {config.attack.name} "
            "estimates the forgotten samples' gradient from a difference. The estimate is exact only if unlearning did "
            "not change the parameters, or, if it uses the change of parameters, was one step on the forgotten "
            "samples.",
        )


def _causes(
    observation: Observation,
    artifacts: ServerArtifacts,
    retained: Tensor,
    forgotten: Tensor,
    labels: BatchLabels,
) -> Iterator[str]:
    """Yield known causes of a gradient that is not the true images', as sentences."""
    gradient = observation.gradient(artifacts.models.architecture)
    parts = {
        "before": (
            observation.before,
            torch.cat([retained, forgotten], 1),
            torch.cat([labels.retained, labels.forgotten], 1),
        ),
        "after": (observation.after, retained, labels.retained),
    }
    for when, (parameters, images, classes) in parts.items():
        targets = torch.nn.functional.one_hot(classes, artifacts.models.classes).float()
        expected = torch.stack([gradient(parameters, *batch) for batch in zip(images, targets, strict=True)])
        given = observation.gradients_before if when == "before" else observation.gradients_after
        ratio = float((expected * given).sum() / expected.square().sum())
        deviation = float((given - ratio * expected).square().sum() / given.square().sum())
        if deviation > _PARALLEL:
            yield (
                f"The gradients {when} unlearning are not the true images' (they differ in {deviation:.1%} of their "
                "squared norm). Check the order of the batches, the labels, the normalization, the local steps, and "
                "that the gradients were computed in evaluation mode."
            )
        elif abs(ratio - 1) > 1e-3:
            yield (
                f"The gradients {when} unlearning are {ratio:.4g} times the true images'. Give gradients of the mean "
                f"loss over the batch of {images.shape[1]} samples, not of the sum. For updates, check "
                "--observation.learning-rate and --observation.local-steps."
            )


def _check_labels(given: BatchLabels, true: BatchLabels) -> Iterator[Finding]:
    """Compare the labels in the file with those of the true images; their order in a batch does not matter."""
    for part, tensor in (("retained", "labels_retained"), ("forgotten", "labels_forgotten")):
        found, expected = (getattr(labels, part).sort(dim=1).values for labels in (given, true))
        if not torch.equal(found, expected):
            wrong = int((found != expected).any(dim=1).sum())
            yield error(
                "labels",
                f"{tensor} differ from the true images' labels in {wrong} of {len(found)} batches. Check the order of "
                "the batches and the numbering of the classes.",
            )
