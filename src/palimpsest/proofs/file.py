"""The proof file: safetensors with one float32 tensor and string metadata, read as if a stranger wrote it."""

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
    """Gradient differences that clients hand in as proof of unlearning, one for each forgotten sample.

    Raises:
        ProofError: The vectors are not a float32 matrix, or the metadata are not strings.
    """

    vectors: Tensor
    """`[n, d]` float32: loss gradients of the original minus those of the unlearned model, flattened and
    concatenated in `named_parameters()` order."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What the sender says about the proofs: `original` and `unlearned` (hashes of the models), `loss`,
    `defenses` (a JSON list of those applied) and whatever else; empty if nothing was said."""

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or self.vectors.dtype != torch.float32:
            raise ProofError(
                f"Proofs are a float32 matrix [n, d], not {self.vectors.dtype} of shape "
                f"{tuple(self.vectors.shape)}: put one flattened gradient difference in each row."
            )
        for name, value in self.metadata.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise ProofError(
                    f"The metadata {name!r} of a proof is {value!r}: names and values must be strings."
                )

    @property
    def attested(self) -> bool:
        """Whether the proofs came with metadata: the sender's claim, which nothing here proves."""
        return bool(self.metadata)

    def to_frame(self) -> "pandas.DataFrame":
        """One row for each proof: its norm (L2), and whether all of its values are finite.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        norms = torch.linalg.vector_norm(self.vectors, dim=1, dtype=torch.float64).tolist()
        finite = self.vectors.isfinite().all(dim=1).tolist()
        rows = [
            {"proof": place, "norm": norm, "finite": whole}
            for place, (norm, whole) in enumerate(zip(norms, finite, strict=True))
        ]
        return frame(rows, columns=("proof", "norm", "finite"), index="proof")

    def _repr_html_(self) -> str:
        count, dimension = self.vectors.shape
        said = sorted(self.metadata.items())[:_SHOWN]
        shown = html_paragraph(f"{count:,} proofs of {dimension:,} numbers", strong=True)
        if not said:
            return shown + html_paragraph("The sender says nothing of them (unattested).")
        return shown + html_table(("the sender says", ""), said)

    def save(self, path: Path) -> None:
        """Write the proof file; see `save_proofs`."""
        save_proofs(path, self)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a proof file; see `load_proofs`."""
        vectors, metadata = _read(path)
        return cls(vectors, metadata)


def save_proofs(path: str | Path, proofs: Proofs) -> None:
    """Write proofs to a safetensors file, whole or not at all, readable by its owner only.

    Attested proofs carry their metadata, and with it the format's version and the tensor's count, dimension,
    type and SHA-256, so that a reader notices a tensor that was exchanged.

    Args:
        path: Where the file shall stand.
        proofs: At least one proof, all finite.

    Raises:
        ProofError: There are no proofs, or a value is not finite.
        ResourceError: The disk is full.
        RunError: The folder can't be written.
    """
    path = Path(path)
    vectors = proofs.vectors.detach().cpu().contiguous()
    if vectors.numel() == 0:
        raise ProofError(
            f"There is nothing to write to {path}: the proofs have shape {tuple(vectors.shape)}."
        )
    _check_finite(vectors, path)
    metadata = {**proofs.metadata, "format": _FORMAT, **_description(vectors)} if proofs.attested else None
    save_tensors(path, {"vectors": vectors}, metadata)


def load_proofs(path: str | Path) -> Proofs:
    """Read proofs that somebody else may have written; nothing is unpickled, and no size is believed.

    The header's length, the one tensor's type, shape and place are checked against the file's size before
    memory is taken for it. Metadata of another format count as none: the proofs are then unattested.

    Args:
        path: A safetensors file with one float32 tensor `vectors` `[n, d]`.

    Raises:
        ProofError: The file is missing, truncated, not safetensors, holds anything but that tensor, has
            values that are not finite, or its metadata contradict the tensor.
        ResourceError: The proofs would not fit into memory.
    """
    return Proofs.load(Path(path))


def row_blocks(vectors: Tensor) -> Iterator[Tensor]:
    """A matrix in blocks of whole rows with at most about 4 million values, so that a pass over it copies
    little."""
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
            f"The proof file {path} can't be read ({error.strerror}): ask its owner for leave."
        ) from error
    if values.size != shape[0] * shape[1]:
        raise ProofError(f"The proof file {path} changed while it was read: read it again.")
    vectors = torch.from_numpy(values).reshape(shape)
    _check_finite(vectors, path)
    return vectors, _checked_metadata(header.get("__metadata__", {}), vectors, path)


def _read_header(file: BinaryIO, path: Path) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and where the tensors begin."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    if start.startswith(b"PK"):
        raise _not_proofs(path, "it is a zip archive, as torch.save writes them")
    length = int.from_bytes(start, "little")
    if size < 8 or length > min(_LARGEST_HEADER, size - 8):
        raise _not_proofs(path, f"{size} bytes can't hold a header of {length}")
    try:
        header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise _not_proofs(path, "its header is not JSON without repeated names") from error
    if not isinstance(header, dict):
        raise _not_proofs(path, "its header is not a mapping")
    return header, 8 + length


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which of two values of one name they take: a header that leaves them the choice is forged."""
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a name comes twice")
    return mapping


def _checked_shape(header: dict[str, Any], size: int, path: Path) -> tuple[int, int]:
    names = sorted(name for name in header if name != "__metadata__")
    if names != ["vectors"]:
        raise ProofError(
            f"The proof file {path} holds the tensors {str(names)[1:-1][:80] or 'none'}: it must "
            "hold one, 'vectors', and nothing else."
        )
    match header["vectors"]:
        case {"dtype": "F32", "shape": [int(count), int(dimension)], "data_offsets": [0, int(end)]} if min(
            count, dimension
        ) >= 1 and bool not in (type(count), type(dimension)):
            pass
        case tensor:
            raise ProofError(
                f"The tensor 'vectors' of {path} is described as {json.dumps(tensor)[:200]}: it must be F32 (float32) "
                "of shape [n, d] with n and d at least 1, at the beginning."
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
            f"The proof file {path} has the format {written[:80]!r}: this version reads {_FORMAT!r}."
        )
    for name, actual in _description(vectors).items():
        claimed = metadata.pop(name, None)
        if claimed != actual:
            said = "nothing" if claimed is None else repr(claimed[:80])
            raise ProofError(
                f"The metadata of {path} contradict its tensor: for its {name} they say {said}, and it is "
                f"{actual!r}. Ask for the file again."
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
                f"Proof {row} of {path} holds values that are not finite: ask its sender for another."
            )
        first += len(block)


def _not_proofs(path: Path, reason: str) -> ProofError:
    return ProofError(
        f"{path} is not a proof file ({reason}): it must be safetensors with one tensor 'vectors'."
    )
