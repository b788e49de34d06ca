"""Who answers the auditor's questions: the checkpoints, a function, precomputed files, or an endpoint."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from torch import Tensor

from palimpsest.artifacts.config import OracleConfig
from palimpsest.artifacts.models import Models
from palimpsest.datasets import SampleSet
from palimpsest.errors import ConfigurationError, OracleError, PalimpsestError
from palimpsest.oracles import Endpoint, Oracle, PrecomputedOracle, RecordedOracle, RemoteOracle, oracle_of
from palimpsest.oracles.cached import Ask
from palimpsest.oracles.http import TOKEN
from palimpsest.system.import_by_name import is_reference, load_reference


@dataclass(frozen=True)
class OracleSource:
    """An oracle, and what is known of it.

    Args:
        oracle: Answers questions.
        source: What it is, in words.
        fingerprint: What its answers depend on, hashed.
        classes: How many classes its model has; none where it does not tell.
        budget: Samples that it answers for in all; none for no limit.
    """

    oracle: Oracle
    source: str
    fingerprint: str
    classes: int | None
    budget: int | None


def open_oracle(
    config: OracleConfig,
    *,
    models: Models | None,
    auxiliary: SampleSet,
    dimension: int,
    folder: Path,
    memory_budget: int,
) -> OracleSource:
    """Find who answers, without asking anything yet but an endpoint's description.

    Args:
        config: Where answers come from.
        models: The two models, where they are held.
        auxiliary: All of the auditor's own samples.
        dimension: Length of an undefended proof; what a function's answers must have.
        folder: Where answers are kept.
        memory_budget: Bytes that a chunk of answers may take.

    Raises:
        ConfigurationError: There is no such source.
        OracleError: It does not answer, or not to questions about these images.
    """
    source = config.source
    if source is None:
        if models is None:
            raise ConfigurationError(
                "Nobody answers the auditor's questions: give original, unlearned and model, or an oracle.source."
            )
        oracle = oracle_of(
            models.original, models.unlearned, engine=config.engine, memory_budget=memory_budget
        )
        return OracleSource(
            oracle, "the two checkpoints", models.fingerprint, models.classes, config.query_budget
        )
    if source.startswith(("http://", "https://")):
        return _remote(config, source, auxiliary, folder, memory_budget)
    if is_reference(source):
        function = load_reference(source, what="oracle")
        length = int(getattr(function, "dimension", dimension))
        fingerprint = _hash(source, str(length), *_rounding(config))
        oracle = RecordedOracle(
            _asking(function, source),
            length,
            folder=folder / fingerprint[:16],
            batch_size=_batch(config.batch_size, length, memory_budget),
            budget=config.query_budget,
            storage_dtype=config.storage_dtype,
        )
        return OracleSource(oracle, f"the function {source}", fingerprint, None, config.query_budget)
    path = Path(source).expanduser()
    if not path.exists():
        raise ConfigurationError(
            f"oracle.source is {source!r}, which is no file or folder: give module:function, a folder of precomputed "
            "gradients, or a URL."
        )
    oracle = PrecomputedOracle(path, auxiliary)
    budget = min(len(auxiliary), config.query_budget or len(auxiliary))
    return OracleSource(oracle, f"gradients in {path}", oracle.fingerprint, None, budget)


def _remote(
    config: OracleConfig, url: str, auxiliary: SampleSet, folder: Path, memory_budget: int
) -> OracleSource:
    endpoint = Endpoint(
        url, os.environ.get(TOKEN, "").strip(), timeout=config.timeout, attempts=config.attempts
    )
    remote = RemoteOracle.connect(endpoint)
    told = remote.description
    if told.shape != auxiliary.shape:
        raise OracleError(
            f"{url} takes images of {list(told.shape)}, and {auxiliary.name} has images of {list(auxiliary.shape)}: "
            "set image_size, or give other images."
        )
    if 8 * told.dimension > memory_budget:
        raise OracleError(
            f"{url} says that its vectors have {told.dimension:,} numbers, which memory_budget does not hold: raise it "
            "if the models are that large."
        )
    fingerprint = _hash(url, told.models, str(told.dimension), *_rounding(config))
    oracle = RecordedOracle(
        remote,
        told.dimension,
        folder=folder / fingerprint[:16],
        batch_size=_batch(min(config.batch_size, told.largest_batch), told.dimension, memory_budget),
        budget=config.query_budget,
        storage_dtype=config.storage_dtype,
    )
    return OracleSource(oracle, url, fingerprint, told.classes, config.query_budget)


def _asking(function: Callable[..., object], name: str) -> Ask:
    """A function of somebody's own, whose failures are told as its own."""

    def ask(images: Tensor, labels: Tensor) -> object:
        try:
            return function(images, labels)
        except PalimpsestError:
            raise
        except Exception as error:
            raise OracleError(
                f"The oracle {name} failed ({type(error).__name__}: {error}): it is called with images and labels."
            ) from error

    return ask


def _batch(wanted: int, dimension: int, memory_budget: int) -> int:
    """Samples in a question: an answer is held twice while it is read."""
    return max(1, min(wanted, memory_budget // (8 * dimension)))


def _rounding(config: OracleConfig) -> list[str]:
    """What answers depend on besides: nothing where they are not rounded, so that earlier ones are found."""
    return [] if config.storage_dtype == "float32" else [config.storage_dtype]


def _hash(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()
