"""Proofs and their file format: safetensors with one float32 tensor and string metadata, read as untrusted input."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
import torch
from torch import Tensor

from palimpsest.display import frame, html_paragraph, html_table
from palimpsest.errors import ProofError
from palimpsest.storage import Record, save_tensors, tensor_hash
from palimpsest.system.memory import require_room

if TYPE_CHECKING:
    import pandas

_FORMAT = "palimpsest-proofs-1"
_LARGEST_HEADER = 2**20
_BLOCK = 2**22
_SHOWN = 20


@dataclass(frozen=True)
class Proofs(Record):
    """Gradient differences that clients submit as proof of unlearning, one for each forgotten sample.

    Raises:
        ProofError: The vectors are not a float32 matrix, or the metadata are not strings.

    Example:
        >>> import torch
        >>> from palimpsest import Proofs
        >>> proofs = Proofs(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), {"loss": "cross_entropy"})
        >>> proofs.attested
        True
        >>> proofs.to_frame()["norm"].tolist()
        [5.0, 0.0]
    """

    vectors: Tensor
    """Loss gradients of the original model minus those of the unlearned one, `[n, d]` float32.

    A row is flattened, in the order of `named_parameters()`.
    """
    metadata: dict[str, str] = field(default_factory=dict)
    """Claims of the sender, such as `original` and `unlearned` (hashes of the models), `loss` and `defenses` (JSON).

    Empty if there are none.
    """

    def __post_init__(self) -> None:
        """Check the vectors and the metadata."""
        if self.vectors.ndim != 2 or self.vectors.dtype != torch.float32:
            raise ProofError(
                f"Proofs must be a float32 matrix [n, d], not {self.vectors.dtype} of shape "
                f"{tuple(self.vectors.shape)}. Put one flattened gradient difference in each row."
            )
        for name, value in self.metadata.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise ProofError(f"The metadata {name!r} is {value!r}: names and values must be strings.")

    @property
    def attested(self) -> bool:
        """True if the proofs have metadata, which are claims of the sender and not verified."""
        return bool(self.metadata)

    def to_frame(self) -> "pandas.DataFrame":
        """Return a table with one row for each proof: its norm (L2), and whether all of its values are finite.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        norms = torch.linalg.vector_norm(self.vectors, dim=1, dtype=torch.float64).tolist()
        finite = self.vectors.isfinite().all(dim=1).tolist()
        rows = [
            {"proof": place, "norm": norm, "finite": is_finite}
            for place, (norm, is_finite) in enumerate(zip(norms, finite, strict=True))
        ]
        return frame(rows, columns=("proof", "norm", "finite"), index="proof")

    def _repr_html_(self) -> str:
        count, dimension = self.vectors.shape
        claims = sorted(self.metadata.items())[:_SHOWN]
        html = html_paragraph(f"{count:,} proofs with {dimension:,} coordinates", strong=True)
        if not claims:
            return html + html_paragraph("Unattested: there are no claims of the sender.")
        return html + html_table(("claim of the sender", "value"), claims)

    def save(self, path: Path) -> None:
        """Write the proof file; see `save_proofs`."""
        save_proofs(path, self)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a proof file; see `load_proofs`."""
        vectors, metadata = _read(path)
        return cls(vectors, metadata)


def save_proofs(path: str | Path, proofs: Proofs) -> None:
    """Write proofs to a safetensors file, atomically and readable only by its owner.

    The file of attested proofs also contains their metadata, the version of the format, and the tensor's count,
    dimension, dtype and SHA-256, so that a reader detects an exchanged tensor.

    Args:
        path: Path of the file.
        proofs: At least one proof, with finite values only.

    Raises:
        ProofError: There are no proofs, or a value is not finite.
        ResourceError: The disk is full.
        RunError: The folder can't be written.

    Example:
        >>> import tempfile, torch
        >>> from palimpsest import Proofs, load_proofs, save_proofs
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_proofs(f"{folder}/proofs.safetensors", Proofs(torch.ones(2, 3), {"loss": "cross_entropy"}))
        ...     load_proofs(f"{folder}/proofs.safetensors").metadata
        {'loss': 'cross_entropy'}
    """
    path = Path(path)
    vectors = proofs.vectors.detach().cpu().contiguous()
    if vectors.numel() == 0:
        raise ProofError(
            f"Proofs of shape {tuple(vectors.shape)} can't be saved to {path}. Pass at least one proof."
        )
    _check_finite(vectors, path)
    metadata = {**proofs.metadata, "format": _FORMAT, **_description(vectors)} if proofs.attested else None
    save_tensors(path, {"vectors": vectors}, metadata)


def load_proofs(path: str | Path) -> Proofs:
    """Read proofs from an untrusted file. Nothing is unpickled.

    The header's length and the tensor's dtype, shape and offset are checked against the size of the file before memory
    is allocated. Metadata of another format are ignored, so that the proofs are unattested.

    Args:
        path: A safetensors file with one float32 tensor `vectors`, `[n, d]`.

    Returns:
        The proofs and their metadata.

    Raises:
        ProofError: The file is missing, truncated or not safetensors, has other tensors or values that are not finite,
            or its metadata contradict the tensor.
        ResourceError: The proofs would not fit into memory.

    Example:
        >>> import tempfile, torch
        >>> from palimpsest import Proofs, load_proofs, save_proofs
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_proofs(f"{folder}/proofs.safetensors", Proofs(torch.ones(2, 3)))
        ...     load_proofs(f"{folder}/proofs.safetensors").vectors.shape
        torch.Size([2, 3])
    """
    return Proofs.load(Path(path))


def row_blocks(vectors: Tensor) -> Iterator[Tensor]:
    """Yield a matrix in blocks of whole rows, so that a pass over it copies little.

    Args:
        vectors: Matrix, `[n, d]`.

    Yields:
        Blocks with at most about 4 million values, or one row.
    """
    yield from vectors.split(max(1, _BLOCK // max(1, vectors.shape[1])))


def _read(path: Path) -> tuple[Tensor, dict[str, str]]:
    if not path.is_file():
        raise ProofError(f"There is no proof file {path}: check the path.")
    try:
        with path.open("rb") as file:
            header, start = _read_header(file, path)
            shape = _checked_shape(header, os.fstat(file.fileno()).st_size - start, path)
            require_room(path, 4 * shape[0] * shape[1])
            file.seek(start)
            values = np.fromfile(file, dtype="<f4", count=shape[0] * shape[1])
    except OSError as error:
        raise ProofError(
            f"The proof file {path} can't be read ({error.strerror}). Check its permissions."
        ) from error
    if values.size != shape[0] * shape[1]:
        raise ProofError(f"The proof file {path} changed while it was being read. Read it again.")
    vectors = torch.from_numpy(values).reshape(shape)
    _check_finite(vectors, path)
    return vectors, _checked_metadata(header.get("__metadata__", {}), vectors, path)


def _read_header(file: BinaryIO, path: Path) -> tuple[dict[str, Any], int]:
    """Return the header of a safetensors file, and the offset at which the tensors begin."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    if start.startswith(b"PK"):
        raise _not_proofs(path, "it is a zip archive, as written by torch.save")
    length = int.from_bytes(start, "little")
    if size < 8 or length > min(_LARGEST_HEADER, size - 8):
        raise _not_proofs(path, f"{size} bytes can't hold a header of {length} bytes")
    try:
        header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise _not_proofs(path, "its header is not valid JSON or repeats a name") from error
    if not isinstance(header, dict):
        raise _not_proofs(path, "its header is not a JSON object")
    return header, 8 + length


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Convert pairs of JSON to a dict, and refuse repeated names, which readers interpret differently."""
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a name is repeated")
    return mapping


def _checked_shape(header: dict[str, Any], size: int, path: Path) -> tuple[int, int]:
    names = sorted(name for name in header if name != "__metadata__")
    if names != ["vectors"]:
        raise ProofError(
            f"The proof file {path} holds the tensors {str(names)[1:-1][:80] or 'none'}, but it must "
            "hold 'vectors' and no other tensor."
        )
    match header["vectors"]:
        case {"dtype": "F32", "shape": [int(count), int(dimension)], "data_offsets": [0, int(end)]} if min(
            count, dimension
        ) >= 1 and bool not in (type(count), type(dimension)):
            pass
        case tensor:
            raise ProofError(
                f"The tensor 'vectors' of {path} is described as {json.dumps(tensor)[:200]}. It must be F32 "
                "(float32) of shape [n, d], with n and d at least 1, and start at offset 0."
            )
    if not 4 * count * dimension == end == size:
        shape = json.dumps([count, dimension])[:80]
        raise ProofError(
            f"The proof file {path} is truncated or forged: its {size} bytes of values are not a float32 "
            f"matrix of shape {shape}. Ask for it again."
        )
    return count, dimension


def _checked_metadata(metadata: object, vectors: Tensor, path: Path) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _not_proofs(path, "its metadata are not strings")
    written = metadata.pop("format", "")
    if not written.startswith("palimpsest-proofs-"):
        return {}
    if written != _FORMAT:
        raise ProofError(
            f"The proof file {path} has the format {written[:80]!r}, but this version reads {_FORMAT!r}."
        )
    for name, actual in _description(vectors).items():
        claimed = metadata.pop(name, None)
        if claimed != actual:
            stated = "nothing" if claimed is None else repr(claimed[:80])
            raise ProofError(
                f"The metadata of {path} contradict its tensor: its {name} is {actual!r}, but they say {stated}. "
                "Ask for the file again."
            )
    return metadata


def _description(vectors: Tensor) -> dict[str, str]:
    count, dimension = vectors.shape
    return {
        "count": str(count),
        "dimension": str(dimension),
        "dtype": "float32",
        "sha256": tensor_hash(vectors),
    }


def _check_finite(vectors: Tensor, path: Path) -> None:
    first = 0
    for block in row_blocks(vectors):
        finite = block.isfinite().all(dim=1)
        if not finite.all():
            row = first + int(finite.logical_not().nonzero()[0])
            raise ProofError(
                f"Proof {row} of {path} has values that are not finite. Ask its sender for a new one."
            )
        first += len(block)


def _not_proofs(path: Path, reason: str) -> ProofError:
    return ProofError(
        f"{path} is not a proof file ({reason}). It must be safetensors with one tensor, 'vectors'."
    )
