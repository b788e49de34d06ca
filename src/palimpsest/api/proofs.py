"""Proofs: made, defended and checked, in memory or as files."""

import secrets
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, overload

import yaml
from torch import Generator, Tensor, nn

from palimpsest.api.progress import reporting
from palimpsest.artifacts.config import ProveConfig
from palimpsest.config import listed_defenses, validate
from palimpsest.datasets import ImageSet
from palimpsest.defenses import defend as defend_vectors
from palimpsest.errors import ConfigurationError, ProofError
from palimpsest.pipeline.stages.defend import defended, refuse_same_file
from palimpsest.pipeline.stages.prove import make_proofs
from palimpsest.proofs import Proofs, Verdicts, calibrate_tau, load_proofs, proof_norms, save_proofs
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
        proofs = prove_files(tree, data_dir=data_dir)
    if out is not None:
        save_proofs(Path(out), proofs)
    return proofs


def prove_files(
    keys: Mapping[str, Any],
    *,
    out: str | PathLike[str] | None = None,
    data_dir: str | PathLike[str] | None = None,
    quiet: bool = True,
) -> Proofs:
    """Make proofs from two checkpoints and a place of samples, as `palimpsest prove` does.

    Args:
        keys: Those of `palimpsest prove`.
        out: Where to write the proof file, readable by its owner only; None writes nothing.
        data_dir: A folder that mirrors the published sets.
        quiet: Show no progress.

    Raises:
        PalimpsestError: A piece is missing or does not fit another.
    """
    config = validate(ProveConfig, keys, where="the artifacts")
    with reporting(quiet=quiet):
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
    seed: int | None = ...,
    out: str | PathLike[str] | None = ...,
    **settings: Any,
) -> Proofs: ...
def defend(
    proofs: Tensor | Proofs | str | PathLike[str],
    defense: str | Sequence[Mapping[str, Any]],
    *,
    generator: Generator | None = None,
    seed: int | None = None,
    out: str | PathLike[str] | None = None,
    **settings: Any,
) -> Tensor | Proofs:
    """Defend proofs: what a client does before it hands them in.

    Args:
        proofs: Gradient differences `[n, d]`, or proofs, or the path of a proof file; left as they are.
        defense: A defense's name; or, for proofs, a list of defenses with their settings, applied in order:
            `[{"name": "prune", "ratio": 0.9}, {"name": "sign"}]`.
        generator: Where random numbers come from; for proofs none takes the operating system's, as it should be for
            real ones.
        seed: For proofs, a seed in the place of a generator, as `palimpsest defend --seed` takes it.
        out: For proofs, where to write the defended ones; none writes nothing.
        settings: The one defense's own; the paper's by default.

    Returns:
        Defended vectors for vectors; for proofs, proofs whose metadata names what was done, and no secrets.

    Raises:
        ConfigurationError: There is no such defense, or it does not accept a setting.
        ProofError: The proofs are not a finite matrix, the file holds none, or `out` is the same file.
    """
    if isinstance(proofs, Tensor):
        if not isinstance(defense, str) or generator is None or seed is not None or out is not None:
            raise ConfigurationError("Vectors take one defense's name and a generator, and are not written.")
        return defend_vectors(proofs, defense, generator=generator, **settings)
    if not isinstance(defense, str) and settings:
        raise ConfigurationError("Settings go into the list, beside each defense's name.")
    if generator is not None and seed is not None:
        raise ConfigurationError("Random numbers come from a generator or from a seed: give one of them.")
    asked = [{"name": defense, **settings}] if isinstance(defense, str) else defense
    if isinstance(proofs, Proofs):
        given = proofs
    else:
        if out is not None:
            refuse_same_file(Path(proofs), Path(out))
        given = load_proofs(Path(proofs))
    if seed is None:
        seed = secrets.randbits(62) if generator is None else fork(generator)
    result = defended(given, asked, seed=seed)
    if out is not None:
        save_proofs(Path(out), result)
    return result


def read_defenses(text: str) -> list[dict[str, Any]]:
    """Read defenses as a command line gives them.

    Args:
        text: A defense's name, or a YAML list of names and of defenses with settings:
            `[{name: prune, ratio: 0.9}, sign]`.

    Raises:
        ConfigurationError: The text is something else.
    """
    try:
        return listed_defenses(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"--with is {text!r}, which is not YAML: give a name or a list.") from error
    except ValueError as error:
        raise ConfigurationError(f"--with is {text!r}: {error}") from error


def verify(
    proofs: Tensor | Proofs | str | PathLike[str],
    *,
    tau: float | None = None,
    calibrate: Tensor | Proofs | str | PathLike[str] | None = None,
    quantile: float = 0.99,
) -> Verdicts:
    """Accept each proof whose norm is at most tau, as the papers' auditor does (IGF, section 3.1).

    The rule is unsound: zeros, or anything small, pass as well as an honest difference does. Acceptance says that the
    norm is small and nothing about what was forgotten.

    Args:
        proofs: Gradient differences `[n, d]`, or proofs, or the path of a proof file, read as if a stranger had
            written it.
        tau: The largest norm to accept, at least 0; the verdicts hold it.
        calibrate: In the place of tau, proofs of samples that nobody forgot: tau is taken from their norms.
        quantile: The share of those that must pass, in (0, 1].

    Returns:
        Verdicts in the order of the proofs; a proof with a value that is not finite is refused.

    Raises:
        ProofError: The vectors are not a float32 matrix, the file holds none, tau is negative or not finite, or not
            one of tau and `calibrate` is given.
    """
    if (tau is None) == (calibrate is None):
        raise ProofError(
            "The verifier needs a threshold: give tau, or calibrate with other proofs, not both."
        )
    submitted = _loaded(proofs)
    if calibrate is not None:
        others = _loaded(calibrate)
        vectors = others.vectors if isinstance(others, Proofs) else others
        tau = calibrate_tau(proof_norms(vectors), quantile=quantile)
    assert tau is not None, "one of both was given"
    return verify_proofs(submitted, tau=tau)


def _loaded(proofs: Tensor | Proofs | str | PathLike[str]) -> Tensor | Proofs:
    return proofs if isinstance(proofs, Tensor | Proofs) else load_proofs(Path(proofs))
