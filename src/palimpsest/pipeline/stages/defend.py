"""Defense of proofs: as a stage of a run, in memory, or from file to file."""

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
    """Apply defenses in order, and append them to the list in the proofs' metadata.

    Args:
        proofs: The proofs; they are not modified.
        defenses: Name and settings of each defense.
        seed: Seed of the defenses' randomness.

    Returns:
        The defended proofs.

    Raises:
        ConfigurationError: A defense does not exist or does not accept a setting.
        ProofError: The proofs are not finite, or `defenses` in their metadata is not a list.
    """
    try:
        components = [DefenseConfig.model_validate(settings).build() for settings in defenses]
    except ValidationError as error:
        raise ConfigurationError(f"defenses: {explain_validation(error)}") from error
    return _apply(proofs, components, seed, before=_earlier_defenses(proofs))


def defend_file(
    path: Path, defenses: Sequence[Mapping[str, Any]], *, out: Path, seed: int | None = None
) -> Proofs:
    """Read proofs from a file, apply defenses in order, and write the result to another file.

    Args:
        path: The proof file.
        defenses: Name and settings of each defense.
        out: The file to write.
        seed: Seed of the defenses' randomness. If omitted, the operating system's randomness is used.

    Returns:
        The proofs that were written.

    Raises:
        ConfigurationError: A defense does not exist or does not accept a setting.
        ProofError: The file holds no proofs, or `out` is the input file.
    """
    refuse_same_file(path, out)
    proofs = load_proofs(path)
    result = defended(proofs, defenses, seed=secrets.randbits(62) if seed is None else seed)
    save_proofs(out, result)
    return result


def defend_stage(run: Run, proofs: Proofs, config: DefendingConfig) -> Proofs:
    """Run the stage `defended`: defend the proofs as the clients do before they issue them.

    Args:
        run: The run that stores the stage.
        proofs: Undefended proofs.
        config: Defenses and seed.

    Returns:
        The issued proofs. Without defenses there is no stage, and these are the undefended ones.
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
    """Refuse to overwrite the input file.

    Args:
        path: The file to read.
        out: The file to write.

    Raises:
        ProofError: Both are the same file, possibly through a link.
    """
    if out.exists() and out.samefile(path):
        raise ProofError(f"{out} is the input file. Write the defended proofs to another one.")


def _earlier_defenses(proofs: Proofs) -> list[Any]:
    """The defenses that were applied before, as the sender states in the metadata."""
    listed = proofs.metadata.get("defenses", "[]")
    try:
        before = json.loads(listed)
    except ValueError:
        before = None
    if not isinstance(before, list):
        raise ProofError(
            f"`defenses` in the proofs' metadata is {listed[:200]!r}, not a JSON list. Correct it first."
        )
    return before
