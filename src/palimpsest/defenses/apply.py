"""Application of defenses: one by name, several in sequence, and chunk by chunk."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import ValidationError
from torch import Generator, Tensor

from palimpsest.config import DefenseConfig, explain_validation
from palimpsest.defenses.defense import Defense
from palimpsest.errors import ConfigurationError
from palimpsest.randomness import fork, make_generator
from palimpsest.registry import DEFENSES


def defend(vectors: Tensor, name: str, *, generator: Generator, **settings: Any) -> Tensor:
    """Apply one defense to proofs.

    Args:
        vectors: Gradient differences, `[n, d]`, float32 or float64; not modified.
        name: Name of the defense: orthogonal, sign, prune, gaussian, perturb, smooth, or another registered one.
        generator: Source of random numbers.
        **settings: Settings of the defense. If omitted, the paper's values.

    Returns:
        Defended proofs, `[n, d]`; `[n, dimensions]` for `project`.

    Raises:
        ConfigurationError: The defense is unknown or does not accept a setting.
        ProofError: The proofs are not a finite `[n, d]` floating-point tensor.
    """
    try:
        config = DefenseConfig(name=name, **settings)
    except ValidationError as error:
        raise ConfigurationError(f"{name}: {explain_validation(error)}") from error
    return config.build()(vectors, generator=generator)


def apply_defenses(vectors: Tensor, components: Sequence[Defense], *, generator: Generator) -> Tensor:
    """Apply several defenses to proofs in sequence, each with a separate generator.

    Args:
        vectors: Gradient differences, `[n, d]`, float32 or float64; not modified.
        components: Defenses, in the order of application. If empty, the vectors are returned unchanged.
        generator: Source of the seed of the defenses' generators; a second call draws another seed.

    Returns:
        Result of the last defense.

    Raises:
        ConfigurationError: A setting does not fit the proofs.
        ProofError: The proofs are not a finite `[n, d]` floating-point tensor.
    """
    return next(defend_chunks([vectors], components, generator=generator))


def defend_chunks(
    chunks: Iterable[Tensor], components: Sequence[Defense], *, generator: Generator
) -> Iterator[Tensor]:
    """Apply defenses chunk by chunk, with the same result as `apply_defenses` on all chunks together.

    Args:
        chunks: Consecutive rows of the gradient differences, `[m, d]` each.
        components: Defenses, in the order of application; see `apply_defenses`.
        generator: Source of the seed of the defenses' generators; see `apply_defenses`.

    Yields:
        The defended rows of each chunk.

    Raises:
        ConfigurationError: A setting does not fit the proofs.
        ProofError: The proofs are not a finite `[n, d]` floating-point tensor.
    """
    seed = fork(generator)
    generators = [make_generator(seed, "defense", position) for position in range(len(components))]
    for chunk in chunks:
        defended = chunk
        for component, component_generator in zip(components, generators, strict=True):
            defended = component(defended, generator=component_generator)
        yield defended


def published_noise(components: Sequence[Defense]) -> tuple[float, float | None] | None:
    """Return the clipping and the noise of several defenses in sequence, as far as the federation publishes them.

    Args:
        components: Defenses, in the order of application.

    Returns:
        The standard deviation of the sum of all noises, and the largest norm of a proof before the first one (None
        without clipping). None if there is no defense, or if the result is not a clipped proof plus Gaussian noise:
        another kind of defense takes part, or one clips what already has noise.
    """
    released: list[tuple[float, float | None]] = []
    for component in components:
        published = component.published_noise()
        if published is None or (released and published[1] is not None):
            return None
        released.append(published)
    if not released:
        return None
    return math.hypot(*(sigma for sigma, _ in released)), released[0][1]


def describe(components: Iterable[Defense]) -> list[dict[str, Any]]:
    """Describe defenses by name and settings, without secrets.

    Args:
        components: Registered defenses, in order.

    Returns:
        A list that can be written as JSON and that the configuration's `defenses` accepts.

    Raises:
        ConfigurationError: A defense is not registered.
    """
    names = {component: name for name, component in DEFENSES}
    described = []
    for component in components:
        defense = type(component)
        if defense not in names:
            raise ConfigurationError(
                f"{defense.__qualname__} has no name. Register it with `DEFENSES.register`."
            )
        described.append({"name": names[defense], **component.model_dump(mode="json")})
    return described
