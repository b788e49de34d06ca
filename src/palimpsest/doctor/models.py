"""Checks of the network and of both checkpoints."""

from collections.abc import Generator

from palimpsest.artifacts.auditor import models_of
from palimpsest.artifacts.config import ArtifactsConfig
from palimpsest.artifacts.models import Models
from palimpsest.datasets import SampleSet
from palimpsest.doctor.checkpoints import check_layers, check_names, check_pair
from palimpsest.doctor.finding import Finding, tried, warning
from palimpsest.models import build_custom_model, read_state_dict


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
            "No model is given, so the proofs can't be recomputed. Give original, unlearned and model to check them.",
        )
        return None
    if config.model is None or config.original is None or config.unlearned is None:
        return (yield from tried("model", lambda: models_of(config, images, device=device)))
    name, paths = config.model, (config.original, config.unlearned)
    network = yield from tried(
        "model",
        lambda: build_custom_model(name, config.model_arguments, shape=images.shape, classes=images.classes),
    )
    states = []
    for which, path in zip(("original", "unlearned"), paths, strict=True):
        state = yield from tried(which, lambda path=path: read_state_dict(path))
        if state is not None and network is not None:
            yield from check_names(which, state, network)
        states.append(state)
    if states[0] is not None and states[1] is not None:
        yield from check_pair(states[0], states[1])
    if network is None or None in states:
        return None
    models = yield from tried("model", lambda: models_of(config, images, device=device))
    if models is not None:
        yield from check_layers(models.original, images.inputs[0].numel())
    return models
