"""What an audit's largest stages hold in memory at once, told before the first of them starts."""

from palimpsest.memory import require_memory
from palimpsest.proofs import FORGERS

_FLOAT = 4
# A list of chunks, and the matrix that they are put together to.
_PROVING = 2
# What the auditor asks itself: its own samples' differences and three answers to its challenges (see `soundness`).
_EVIDENCE_ROWS = 1280


def proofs_footprint(count: int, dimension: int, *, as_auditor: bool) -> int:
    """Bytes that the proofs take in the stage that holds the most copies of them.

    Args:
        count: Forgotten samples n.
        dimension: Length d of a proof.
        as_auditor: Whether the proofs are compared with forged ones, all of which are held at once.
    """
    matrix = _FLOAT * count * dimension
    if not as_auditor:
        return _PROVING * matrix
    return max(_PROVING, 1 + len(FORGERS)) * matrix + _FLOAT * _EVIDENCE_ROWS * dimension


def refuse_what_does_not_fit(count: int, dimension: int, *, as_auditor: bool) -> None:
    """Refuse an audit whose proofs would not fit into memory; arguments as for `proofs_footprint`.

    Raises:
        ResourceError: Less memory is free.
    """
    require_memory(
        f"{count:,} proofs of {dimension:,} numbers, with those that they are compared with,",
        proofs_footprint(count, dimension, as_auditor=as_auditor),
        remedy="forget fewer samples (unlearning.count), take a smaller model.name or model.width, or free memory",
    )
