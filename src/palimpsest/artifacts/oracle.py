"""The auditor's oracle, opened from the checkpoints, a function, precomputed files or an endpoint."""

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
    """An oracle and its properties.

    Args:
        oracle: The oracle.
        source: A description for messages, such as `the two checkpoints`.
        fingerprint: A hash of everything that its answers depend on.
        classes: Number of classes of its model, or None if unknown.
        budget: Number of samples that may be queried, or None if there is no limit.
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
    """Open an oracle without querying any sample; only an endpoint is asked for its description.

    Args:
        config: The oracle's source and limits.
        models: The two models, or None if the user holds no checkpoints.
        auxiliary: All of the auditor's own samples.
        dimension: Length of an undefended proof, which a function's answers must have.
        folder: The folder that caches answers of a function or an endpoint.
        memory_budget: Bytes that a chunk of answers may take.

    Raises:
        ConfigurationError: There is no such source.
        OracleError: The oracle does not respond, or does not accept samples of this shape.
    """
    source = config.source
    if source is None:
        if models is None:
            raise ConfigurationError(
                "The auditor has no oracle. Give --original, --unlearned and --model, or set --oracle.source."
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
            _reporting_failures(function, source),
            length,
            folder=folder / fingerprint[:16],
            batch_size=_batch_size(config.batch_size, length, memory_budget),
            budget=config.query_budget,
            storage_dtype=config.storage_dtype,
        )
        return OracleSource(oracle, f"the function {source}", fingerprint, None, config.query_budget)
    path = Path(source).expanduser()
    if not path.exists():
        raise ConfigurationError(
            f"oracle.source is {source!r}, which is not a file or folder. Give module:function, a file or folder of "
            "precomputed gradients, or a URL."
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
    description = remote.description
    if description.shape != auxiliary.shape:
        raise OracleError(
            f"{url} accepts images of shape {list(description.shape)}, but {auxiliary.name} has images of shape "
            f"{list(auxiliary.shape)}. Set image_size, or give other images."
        )
    if 8 * description.dimension > memory_budget:
        raise OracleError(
            f"{url} reports vectors of {description.dimension:,} numbers, which do not fit into memory_budget. Raise "
            "memory_budget if the models are that large."
        )
    fingerprint = _hash(url, description.models, str(description.dimension), *_rounding(config))
    oracle = RecordedOracle(
        remote,
        description.dimension,
        folder=folder / fingerprint[:16],
        batch_size=_batch_size(
            min(config.batch_size, description.largest_batch), description.dimension, memory_budget
        ),
        budget=config.query_budget,
        storage_dtype=config.storage_dtype,
    )
    return OracleSource(oracle, url, fingerprint, description.classes, config.query_budget)


def _reporting_failures(function: Callable[..., object], name: str) -> Ask:
    """Wrap a user's function so that its failures become an `OracleError` with its name."""

    def ask(images: Tensor, labels: Tensor) -> object:
        try:
            return function(images, labels)
        except PalimpsestError:
            raise
        except Exception as error:
            raise OracleError(
                f"The oracle {name} failed ({type(error).__name__}: {error}). It is called with images and labels."
            ) from error

    return ask


def _batch_size(largest: int, dimension: int, memory_budget: int) -> int:
    """Return the samples per query that fit into memory; an answer is held twice while it is read."""
    return max(1, min(largest, memory_budget // (8 * dimension)))


def _rounding(config: OracleConfig) -> list[str]:
    """Return the storage dtype if it rounds answers; float32 adds nothing, so that earlier caches are found."""
    return [] if config.storage_dtype == "float32" else [config.storage_dtype]


def _hash(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()
