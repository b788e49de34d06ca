"""Defenses of proofs: in a run, in memory, or from file to file."""

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from palimpsest.config import DefendingConfig, DefenseConfig, explain_validation
from palimpsest.defenses import Defense, apply_defenses, describe
from palimpsest.errors import ConfigurationError, ProofError
from palimpsest.proofs import Proofs, load_proofs, save_proofs
from palimpsest.randomness import make_generator
from palimpsest.runs import Run


def defended(proofs: Proofs, defenses: Sequence[Mapping[str, Any]], *, seed: int) -> Proofs:
    """Apply defenses in order, and say so in the proofs' metadata.

    Args:
        proofs: Left as they are.
        defenses: Name and settings of each.
        seed: Where random numbers come from.

    Raises:
        ConfigurationError: There is no such defense, or it does not accept a setting.
        ProofError: The proofs are not finite, or their metadata name no list of defenses.
    """
    try:
        components = [DefenseConfig.model_validate(one).build() for one in defenses]
    except ValidationError as error:
        raise ConfigurationError(f"defenses: {explain_validation(error)}") from error
    return _apply(proofs, components, seed, before=_named(proofs))


def defend_file(
    path: Path, defenses: Sequence[Mapping[str, Any]], *, out: Path, seed: int | None = None
) -> Proofs:
    """Read proofs, apply defenses in order, and write what leaves the client.

    Args:
        path: The proof file.
        defenses: Name and settings of each.
        out: The file to write.
        seed: Where random numbers come from; none for the operating system's.

    Returns:
        What was written.

    Raises:
        ConfigurationError: There is no such defense, or it does not accept a setting.
        ProofError: The file holds no proofs, or `out` is the same file.
    """
    refuse_same_file(path, out)
    proofs = load_proofs(path)
    result = defended(proofs, defenses, seed=secrets.randbits(62) if seed is None else seed)
    save_proofs(out, result)
    return result


def defend_stage(run: Run, proofs: Proofs, config: DefendingConfig) -> Proofs:
    """The stage `defended`: the proofs as the clients issue them; without defenses they stay as they are.

    Args:
        run: Where the stage is kept.
        proofs: Undefended proofs.
        config: Defenses and seed.
    """
    if not config.defenses:
        return proofs
    key = (proofs, config.defenses, config.seed)
    return run.stage("defended", Proofs, lambda _: defend_proofs(proofs, config), key=key)


def defend_proofs(proofs: Proofs, config: DefendingConfig) -> Proofs:
    """Apply a configuration's defenses in order, and name them in the metadata.

    Args:
        proofs: Undefended proofs.
        config: Defenses and seed.
    """
    components = [defense.build() for defense in config.defenses]
    return _apply(proofs, components, config.seed, before=[])


def _apply(proofs: Proofs, components: Sequence[Defense], seed: int, *, before: list[Any]) -> Proofs:
    vectors = apply_defenses(proofs.vectors, components, generator=make_generator(seed, "defend"))
    return Proofs(vectors, proofs.metadata | {"defenses": json.dumps(before + describe(components))})


def refuse_same_file(path: Path, out: Path) -> None:
    """Refuse to write over what is read.

    Raises:
        ProofError: Both are one file.
    """
    if out.exists() and out.samefile(path):
        raise ProofError(f"{out} is the file that is read: write the defended proofs to another one.")


def _named(proofs: Proofs) -> list[Any]:
    """The defenses that the sender says were applied before."""
    said = proofs.metadata.get("defenses", "[]")
    try:
        before = json.loads(said)
    except ValueError:
        before = None
    if not isinstance(before, list):
        raise ProofError(
            f"The proofs' metadata `defenses` is {said[:200]!r}, not a JSON list: mend it first."
        )
    return before
