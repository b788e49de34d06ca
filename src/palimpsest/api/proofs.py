"""Making, defending and verifying proofs, in memory or as files."""

import secrets
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, overload

import yaml
from torch import Generator, Tensor, nn

from palimpsest.api.paths import refuse_existing
from palimpsest.api.progress import reporting
from palimpsest.api.proof_output import check_output, save_output
from palimpsest.api.verification import loaded_proofs
from palimpsest.artifacts.config import ProveConfig
from palimpsest.config import listed_defenses, validate
from palimpsest.datasets import ImageSet
from palimpsest.defenses import defend as defend_vectors
from palimpsest.errors import ConfigurationError
from palimpsest.pipeline.stages.defend import defended, refuse_same_file
from palimpsest.pipeline.stages.prove import make_proofs
from palimpsest.proofs import Proofs, save_proofs
from palimpsest.proofs import prove as prove_models
from palimpsest.randomness import fork


@overload
def prove(
    original: nn.Module,
    unlearned: nn.Module,
    samples: ImageSet,
    *,
    out: str | PathLike[str] | None = ...,
    overwrite: bool = ...,
    quiet: bool = ...,
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
    overwrite: bool = ...,
    quiet: bool = ...,
    memory_budget: int = ...,
    data_dir: str | PathLike[str] | None = ...,
    **keys: Any,
) -> Proofs: ...
# Long: its docstring documents each parameter.
def prove(
    original: nn.Module | str | PathLike[str],
    unlearned: nn.Module | str | PathLike[str],
    samples: ImageSet | str | PathLike[str],
    *,
    model: str | None = None,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    memory_budget: int = 4 * 2**30,
    data_dir: str | PathLike[str] | None = None,
    **keys: Any,
) -> Proofs:
    """Make proofs of unlearning: one gradient difference for each sample.

    Pass either two modules and an `ImageSet`, or the paths of two checkpoints and of the samples.

    Args:
        original: The model before unlearning: a module, or the path of its state dict.
        unlearned: The model after unlearning, in the same form.
        samples: The forgotten samples. With modules, an `ImageSet`. With files, a folder of class folders, a
            `.parquet` file, a `.csv` table, the name of a known data set, or `hf:owner/name`.
        model: Files only: the factory of the network, such as `mypackage.nets:Net`, or an architecture of this package.
        out: The proof file to write, readable by its owner only. If omitted, nothing is written. A file that already
            holds these proofs is kept.
        overwrite: Replace the file if it exists.
        quiet: Show no progress.
        memory_budget: Memory for the computation, in bytes; 4 GiB by default.
        data_dir: Files only: a folder that mirrors the published data sets.
        keys: Files only: the other keys of `palimpsest prove`, such as `model_arguments`, `mean`, `std`, `image_size`,
            `defenses` and `device`.

    Returns:
        The proofs, in the order of the samples.

    Raises:
        ConfigurationError: Modules and files are mixed, a key or value is not accepted, or `out` exists with other
            content than these proofs and `overwrite` is not set.
        PalimpsestError: An artifact is missing or inconsistent with another.

    Example:
        >>> import palimpsest
        >>> import torch
        >>> original, unlearned = (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2)) for _ in range(2))
        >>> samples = palimpsest.ImageSet("toy", torch.rand(3, 1, 4, 4), torch.tensor([0, 1, 1]), 2)
        >>> palimpsest.prove(original, unlearned, samples).vectors.shape
        torch.Size([3, 34])
    """
    check_output(Path(out) if out else None, overwrite=overwrite)
    if isinstance(original, nn.Module) and isinstance(unlearned, nn.Module) and isinstance(samples, ImageSet):
        if model is not None or keys or data_dir is not None:
            raise ConfigurationError(
                "model, data_dir and other keys apply to files only. Leave them out when you pass modules."
            )
        proofs = prove_models(original, unlearned, samples, memory_budget=memory_budget)
    elif isinstance(original, nn.Module) or isinstance(unlearned, nn.Module) or isinstance(samples, ImageSet):
        raise ConfigurationError(
            "Modules and files can't be mixed. Pass two modules and an ImageSet, or the paths of two checkpoints and "
            "of the samples."
        )
    else:
        tree = keys | {"original": fspath(original), "unlearned": fspath(unlearned), "model": model}
        tree |= {"samples": fspath(samples), "memory_budget": memory_budget}
        proofs = prove_files(tree, data_dir=data_dir, quiet=quiet)
    if out is not None:
        save_output(Path(out), proofs, overwrite=overwrite)
    return proofs


def prove_files(
    keys: Mapping[str, Any],
    *,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    data_dir: str | PathLike[str] | None = None,
    quiet: bool = False,
) -> Proofs:
    """Make proofs from two checkpoints and a path of samples, as `palimpsest prove` does.

    Args:
        keys: The keys of `palimpsest prove`.
        out: The proof file to write, readable by its owner only. If omitted, nothing is written. A file that already
            holds these proofs is kept.
        overwrite: Replace the file if it exists.
        data_dir: A folder that mirrors the published data sets.
        quiet: Show no progress.

    Returns:
        The proofs, in the order of the samples.

    Raises:
        PalimpsestError: An artifact is missing or inconsistent with another, or `out` exists with other content than
            these proofs and `overwrite` is not set.
    """
    config = validate(ProveConfig, keys, where="the artifacts")
    target = Path(out) if out else None
    # Most defenses draw new random numbers, so that a repeated command never makes the same proofs.
    (refuse_existing if config.defenses else check_output)(target, overwrite=overwrite)
    with reporting(quiet=quiet):
        proofs = make_proofs(config, data_dir=Path(data_dir) if data_dir else None)
        if target is not None:
            save_output(target, proofs, overwrite=overwrite)
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
    overwrite: bool = ...,
    **settings: Any,
) -> Proofs: ...
# Long: its docstring documents each parameter.
def defend(
    proofs: Tensor | Proofs | str | PathLike[str],
    defense: str | Sequence[Mapping[str, Any]],
    *,
    generator: Generator | None = None,
    seed: int | None = None,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> Tensor | Proofs:
    """Apply defenses to proofs, as a client does before it submits them.

    Args:
        proofs: Gradient differences `[n, d]`, `Proofs`, or the path of a proof file. The input is not modified.
        defense: A defense's name, or, except for a tensor, a list of defenses with their settings, applied in order:
            `[{"name": "prune", "ratio": 0.9}, {"name": "sign"}]`.
        generator: Source of randomness; required for a tensor. If both it and `seed` are omitted, the operating
            system's randomness is used, as real proofs require.
        seed: Not for a tensor: a seed instead of a generator, as in `palimpsest defend --seed`.
        out: Not for a tensor: the file to write the defended proofs to. If omitted, nothing is written.
        overwrite: Replace the file if it exists. It must not be the input file.
        settings: Settings of the defense if `defense` is a name; the paper's values by default.

    Returns:
        A tensor of defended vectors for a tensor; otherwise `Proofs` whose metadata names the defenses, but no secrets.

    Raises:
        ConfigurationError: The defense does not exist or does not accept a setting, arguments contradict each other, or
            `out` exists and `overwrite` is not set.
        ProofError: The proofs are not a finite matrix, the file holds no proofs, or `out` is the input file.

    Example:
        >>> import palimpsest
        >>> import torch
        >>> vectors = torch.tensor([[0.5, -2.0, 0.1]])
        >>> palimpsest.defend(vectors, "sign", generator=torch.Generator().manual_seed(0))
        tensor([[ 1., -1.,  1.]])
    """
    if isinstance(proofs, Tensor):
        if not isinstance(defense, str) or generator is None or seed is not None or out is not None:
            raise ConfigurationError(
                "A tensor needs one defense's name and a generator, without seed and out. Pass Proofs for the rest."
            )
        return defend_vectors(proofs, defense, generator=generator, **settings)
    if not isinstance(defense, str) and settings:
        raise ConfigurationError(
            "Keyword settings can't be combined with a list of defenses. Put them into the list, next to the name."
        )
    if generator is not None and seed is not None:
        raise ConfigurationError("Both generator and seed are given. Pass only one of them.")
    if out is not None:
        if isinstance(proofs, str | PathLike):
            refuse_same_file(Path(proofs), Path(out))
        refuse_existing(Path(out), overwrite=overwrite)
    defenses = [{"name": defense, **settings}] if isinstance(defense, str) else defense
    undefended = loaded_proofs(proofs)
    if seed is None:
        seed = secrets.randbits(62) if generator is None else fork(generator)
    result = defended(undefended, defenses, seed=seed)
    if out is not None:
        save_proofs(Path(out), result)
    return result


def read_defenses(text: str) -> list[dict[str, Any]]:
    """Parse the defenses of a command line.

    Args:
        text: A defense's name, or a YAML list of names and of defenses with settings:
            `[{name: prune, ratio: 0.9}, sign]`.

    Returns:
        A mapping with `name` and settings for each defense, in order.

    Raises:
        ConfigurationError: The text is neither.
    """
    try:
        return listed_defenses(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"--with is {text!r}, which is not YAML. Give a name or a list.") from error
    except ValueError as error:
        raise ConfigurationError(f"--with is {text!r}: {error}") from error
