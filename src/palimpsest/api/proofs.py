"""Proofs: made, defended and checked, in memory or as files."""

import secrets
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, overload

from torch import Generator, Tensor, nn

from palimpsest.artifacts.config import ProveConfig
from palimpsest.config import validate
from palimpsest.datasets import ImageSet
from palimpsest.defenses import defend as defend_vectors
from palimpsest.errors import ConfigurationError
from palimpsest.pipeline.stages.defend import defended, refuse_same_file
from palimpsest.pipeline.stages.prove import make_proofs
from palimpsest.proofs import Proofs, Verdicts, load_proofs, save_proofs
from palimpsest.proofs import prove as prove_models
from palimpsest.proofs import verify as verify_proofs
from palimpsest.randomness import fork


@overload
def prove(
    original: nn.Module,
    unlearned: nn.Module,
    samples: ImageSet,
    *,
    out: str | PathLike[str] | None = ...,
    memory_budget: int = ...,
) -> Proofs: ...
@overload
def prove(
    original: str | PathLike[str],
    unlearned: str | PathLike[str],
    samples: str | PathLike[str],
    *,
    model: str,
    out: str | PathLike[str] | None = ...,
    memory_budget: int = ...,
    data_dir: str | PathLike[str] | None = ...,
    **keys: Any,
) -> Proofs: ...
def prove(
    original: nn.Module | str | PathLike[str],
    unlearned: nn.Module | str | PathLike[str],
    samples: ImageSet | str | PathLike[str],
    *,
    model: str | None = None,
    out: str | PathLike[str] | None = None,
    memory_budget: int = 4 * 2**30,
    data_dir: str | PathLike[str] | None = None,
    **keys: Any,
) -> Proofs:
    """Make proofs of unlearning: one gradient difference for each sample.

    Args:
        original: The model before unlearning: a module, or the file of its state dict.
        unlearned: The model after it, in the same form.
        samples: The forgotten samples: an `ImageSet` with modules; with files a folder of class folders, a `.parquet`
            file, a `.csv` table, a known set, or `hf:owner/name`.
        model: With files, what makes the network: `mypackage.nets:Net`, or an architecture of this package.
        out: Where to write the proof file, readable by its owner only; none writes nothing.
        memory_budget: Bytes that the work may take.
        data_dir: With files, a folder that mirrors the published sets.
        keys: With files, the other keys of `palimpsest prove`: `model_arguments`, `mean`, `std`, `image_size`,
            `defenses`, `device` and so on.

    Returns:
        Proofs in the order of the samples.

    Raises:
        PalimpsestError: A piece is missing or does not fit another.
    """
    if isinstance(original, nn.Module) and isinstance(unlearned, nn.Module) and isinstance(samples, ImageSet):
        if model is not None or keys or data_dir is not None:
            raise ConfigurationError("model, data_dir and further keys go with files, not with modules.")
        proofs = prove_models(original, unlearned, samples, memory_budget=memory_budget)
    elif isinstance(original, nn.Module) or isinstance(unlearned, nn.Module) or isinstance(samples, ImageSet):
        raise ConfigurationError(
            "Give two modules and an ImageSet, or two checkpoints and a place of samples."
        )
    else:
        tree = keys | {"original": fspath(original), "unlearned": fspath(unlearned), "model": model}
        tree |= {"samples": fspath(samples), "memory_budget": memory_budget}
        config = validate(ProveConfig, tree, where="prove")
        proofs = make_proofs(config, data_dir=Path(data_dir) if data_dir else None)
    if out is not None:
        save_proofs(Path(out), proofs)
    return proofs


@overload
def defend(proofs: Tensor, defense: str, *, generator: Generator, **settings: Any) -> Tensor: ...
@overload
def defend(
    proofs: Proofs | str | PathLike[str],
    defense: str | Sequence[Mapping[str, Any]],
    *,
    generator: Generator | None = ...,
    out: str | PathLike[str] | None = ...,
    **settings: Any,
) -> Proofs: ...
def defend(
    proofs: Tensor | Proofs | str | PathLike[str],
    defense: str | Sequence[Mapping[str, Any]],
    *,
    generator: Generator | None = None,
    out: str | PathLike[str] | None = None,
    **settings: Any,
) -> Tensor | Proofs:
    """Defend proofs: what a client does before it hands them in.

    Args:
        proofs: Gradient differences `[n, d]`, or proofs, or the path of a proof file; left as they are.
        defense: A defence's name; or, for proofs, a list of defences with their settings, applied in order:
            `[{"name": "prune", "ratio": 0.9}, {"name": "sign"}]`.
        generator: Where random numbers come from; for proofs none takes the operating system's, as it should be for
            real ones.
        out: For proofs, where to write the defended ones; none writes nothing.
        settings: The one defence's own; the paper's by default.

    Returns:
        Defended vectors for vectors; for proofs, proofs whose metadata names what was done, and no secrets.

    Raises:
        ConfigurationError: There is no such defence, or it does not accept a setting.
        ProofError: The proofs are not a finite matrix, the file holds none, or `out` is the same file.
    """
    if isinstance(proofs, Tensor):
        if not isinstance(defense, str) or generator is None or out is not None:
            raise ConfigurationError("Vectors take one defence's name and a generator, and are not written.")
        return defend_vectors(proofs, defense, generator=generator, **settings)
    if not isinstance(defense, str) and settings:
        raise ConfigurationError("Settings go into the list, beside each defence's name.")
    asked = [{"name": defense, **settings}] if isinstance(defense, str) else defense
    if isinstance(proofs, Proofs):
        given = proofs
    else:
        if out is not None:
            refuse_same_file(Path(proofs), Path(out))
        given = load_proofs(Path(proofs))
    result = defended(given, asked, seed=secrets.randbits(62) if generator is None else fork(generator))
    if out is not None:
        save_proofs(Path(out), result)
    return result


def verify(proofs: Tensor | Proofs | str | PathLike[str], *, tau: float) -> Verdicts:
    """Accept each proof whose norm is at most tau, as the papers' auditor does (IGF, section 3.1).

    The rule is unsound: zeros, or anything small, pass as well as an honest difference does. Acceptance says that the
    norm is small and nothing about what was forgotten.

    Args:
        proofs: Gradient differences `[n, d]`, or proofs, or the path of a proof file, read as if a stranger had
            written it.
        tau: The largest norm to accept, at least 0.

    Returns:
        Verdicts in the order of the proofs; a proof with a value that is not finite is refused.

    Raises:
        ProofError: The vectors are not a float32 matrix, the file holds none, or tau is negative or not finite.
    """
    return verify_proofs(
        proofs if isinstance(proofs, Tensor | Proofs) else load_proofs(Path(proofs)), tau=tau
    )
