"""A proof file, defended."""

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from palimpsest.config import DefenseConfig, explain_validation
from palimpsest.defenses import apply_defenses, describe
from palimpsest.errors import ConfigurationError, ProofError
from palimpsest.proofs import Proofs, load_proofs, save_proofs
from palimpsest.randomness import make_generator


def defend_file(
    path: Path, defenses: Sequence[Mapping[str, Any]], *, out: Path, seed: int | None = None
) -> Proofs:
    """Read proofs, apply defences in order, and write what leaves the client.

    Args:
        path: The proof file.
        defenses: Name and settings of each.
        out: The file to write.
        seed: Where random numbers come from; none for the operating system's.

    Returns:
        What was written.

    Raises:
        ConfigurationError: There is no such defence, or it does not accept a setting.
        ProofError: The file holds no proofs, or `out` is the same file.
    """
    if out.exists() and out.samefile(path):
        raise ProofError(f"{out} is the file that is read: write the defended proofs to another one.")
    try:
        components = [DefenseConfig.model_validate(one).components["name"] for one in defenses]
    except ValidationError as error:
        raise ConfigurationError(f"defenses: {explain_validation(error)}") from error
    proofs = load_proofs(path)
    generator = make_generator(secrets.randbits(62) if seed is None else seed, "defend")
    before = json.loads(proofs.metadata.get("defenses", "[]"))
    defended = Proofs(
        apply_defenses(proofs.vectors, components, generator=generator),
        proofs.metadata | {"defenses": json.dumps(before + describe(components))},
    )
    save_proofs(out, defended)
    return defended
