"""Defenses by name, one after the other, and over chunks."""

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
    """Defend proofs with one defense.

    Args:
        vectors: Gradient differences, `[n, d]`, float32 or float64; left as they are.
        name: The defense: orthogonal, sign, prune, gaussian, perturb, smooth, or another that is registered.
        generator: Where random numbers come from.
        settings: The defense's own; the paper's by default.

    Returns:
        Defended proofs, `[n, d]`; `[n, dimensions]` for `project`.

    Raises:
        ConfigurationError: There is no such defense, or it does not accept a setting.
        ProofError: The proofs are not a finite `[n, d]` floating-point tensor.
    """
    try:
        config = DefenseConfig(name=name, **settings)
    except ValidationError as error:
        raise ConfigurationError(f"{name}: {explain_validation(error)}") from error
    return config.build()(vectors, generator=generator)


def apply_defenses(vectors: Tensor, components: Sequence[Defense], *, generator: Generator) -> Tensor:
    """Defend proofs with several defenses, one after the other, each with a generator of its own.

    Args:
        vectors: Gradient differences, `[n, d]`, float32 or float64; left as they are.
        components: The defenses, in the order in which they are applied; none gives the vectors themselves.
        generator: Where the defenses' own generators come from; a second call gets others.

    Returns:
        Defended proofs, as the last defense leaves them.

    Raises:
        ConfigurationError: A setting does not fit the proofs.
        ProofError: The proofs are not a finite `[n, d]` floating-point tensor.
    """
    return next(defend_chunks([vectors], components, generator=generator))


def defend_chunks(
    chunks: Iterable[Tensor], components: Sequence[Defense], *, generator: Generator
) -> Iterator[Tensor]:
    """Defend proofs chunk by chunk, with the result that `apply_defenses` has on all of them.

    Args:
        chunks: Consecutive rows of the gradient differences, `[m, d]` each.
        components: As for `apply_defenses`.
        generator: As for `apply_defenses`.

    Yields:
        Each chunk, defended.

    Raises:
        ConfigurationError: A setting does not fit the proofs.
        ProofError: The proofs are not a finite `[n, d]` floating-point tensor.
    """
    seed = fork(generator)
    generators = [
        make_generator(seed, "defence", position) for position in range(len(components))
    ]  # codespell:ignore defence
    for chunk in chunks:
        defended = chunk
        for component, own in zip(components, generators, strict=True):
            defended = component(defended, generator=own)
        yield defended


def describe(components: Iterable[Defense]) -> list[dict[str, Any]]:
    """Name and settings of each defense, for JSON, as the configuration's `defenses` reads it; no secrets.

    Args:
        components: Registered defenses, in order.

    Raises:
        ConfigurationError: A defense has no name.
    """
    names = {component: name for name, component in DEFENSES}
    described = []
    for component in components:
        kind = type(component)
        if kind not in names:
            raise ConfigurationError(
                f"{kind.__qualname__} has no name: register it with `DEFENSES.register`."
            )
        described.append({"name": names[kind], **component.model_dump(mode="json")})
    return described
