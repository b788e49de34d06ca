"""Checks of the network and of both checkpoints."""

from collections.abc import Generator

from torch import nn

from palimpsest.artifacts.auditor import models_of
from palimpsest.artifacts.config import ArtifactsConfig
from palimpsest.artifacts.models import Models
from palimpsest.datasets import SampleSet
from palimpsest.doctor.checkpoints import check_layers, check_names, check_pair
from palimpsest.doctor.finding import Finding, tried, warning
from palimpsest.gradients import set_trainable
from palimpsest.models import build_custom_model, load_checkpoint
from palimpsest.storage import Parameters


def examine_models(
    config: ArtifactsConfig, images: SampleSet, *, device: str
) -> Generator[Finding, None, Models | None]:
    """Build the network, load both checkpoints and check them.

    Args:
        config: The artifacts.
        images: Samples in the models' input shape.
        device: The device of the models.

    Yields:
        A finding for each check.

    Returns:
        The models, or None if they are missing or can't be loaded.
    """
    named = config.model, config.original, config.unlearned
    if named == (None, None, None):
        yield warning(
            "model",
            "No model is given, so the proofs can't be recomputed. Give --original, --unlearned and --model to check "
            "them.",
        )
        return None
    if config.model is None or config.original is None or config.unlearned is None:
        return (yield from tried("model", lambda: models_of(config, images, device=device)))
    name, paths = config.model, (config.original, config.unlearned)

    def build(seed: int) -> nn.Module:
        shape, classes = images.shape, images.classes
        network = build_custom_model(name, config.model_arguments, shape=shape, classes=classes, seed=seed)
        if config.trainable is not None:
            set_trainable(network, config.trainable)
        return network

    network = yield from tried("model", lambda: build(0))
    if network is None:
        return None
    twin, states = build(1), list[Parameters | None]()
    for which, path in zip(("original", "unlearned"), paths, strict=True):
        matched = yield from tried(which, lambda path=path: load_checkpoint(path, network, twin=twin))
        if matched is not None:
            yield from check_names(which, matched)
        states.append(None if matched is None else matched.parameters)
    before, after = states
    if before is None or after is None:
        return None
    yield from check_pair(before, after)
    models = yield from tried("model", lambda: models_of(config, images, device=device))
    if models is not None:
        yield from check_layers(models.original, images.inputs[0].numel())
    return models
