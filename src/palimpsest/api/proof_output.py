"""Writing proofs to a file that does not exist yet, or that already holds the same proofs."""

from pathlib import Path

import torch

from palimpsest.api.paths import refuse_existing
from palimpsest.errors import ConfigurationError, ProofError
from palimpsest.progress import warn
from palimpsest.proofs import Proofs, load_proofs, save_proofs


def check_output(out: Path | None, *, overwrite: bool) -> None:
    """Refuse an existing file that is no proof file; call this before any work.

    Args:
        out: The proof file that will be written. None stands for a file that will not be written.
        overwrite: Accept any existing file.

    Raises:
        ConfigurationError: The file exists and holds no proofs, and `overwrite` is False.
    """
    try:
        if out is not None and not overwrite and out.is_file():
            load_proofs(out)
            return
    except ProofError:
        pass
    refuse_existing(out, overwrite=overwrite)


def save_output(out: Path, proofs: Proofs, *, overwrite: bool) -> None:
    """Write proofs, or keep an existing file that holds the same vectors, so that a command can be repeated.

    Args:
        out: The proof file.
        proofs: The proofs.
        overwrite: Replace an existing file.

    Raises:
        ConfigurationError: The file holds other proofs, and `overwrite` is False.
    """
    if overwrite or not (out.exists() or out.is_symlink()):
        save_proofs(out, proofs)
        return
    check_output(out, overwrite=False)
    present = load_proofs(out)
    if not torch.equal(present.vectors, proofs.vectors.cpu()):
        raise ConfigurationError(
            f"{out} holds other proofs, which would be replaced. Choose another --out, or pass --overwrite."
        )
    names = present.metadata.keys() | proofs.metadata.keys()
    other = sorted(name for name in names if present.metadata.get(name) != proofs.metadata.get(name))
    difference = (
        f" Its metadata differ in {', '.join(other)}; pass --overwrite to replace them." if other else ""
    )
    warn(f"{out} already holds these proofs and was kept.{difference}")
