"""Estimate of the peak memory of an audit's largest stages, checked before the audit starts."""

from palimpsest.system.memory import require_memory

_FLOAT = 4
# Copies of the proofs: chunks and the matrix into which they are joined, or honest and forged proofs.
_MATRICES = 2
_MOST_CHALLENGES, _FEWEST_CHALLENGES = 256, 8


def evidence_rows(dimension: int, *, memory_budget: int) -> tuple[int, int]:
    """Compute how many samples the auditor queries as evidence: as many as half of the memory budget allows.

    Args:
        dimension: Length d of a proof.
        memory_budget: The auditor's memory budget, in bytes.

    Returns:
        The number of imitated samples, and the number of challenge samples: 8 to 256, and half the former.
    """
    # Each challenge needs two imitated samples and five vectors: the answer, two imitations, and the responses of the
    # honest party and of a forger.
    fitting = memory_budget // 2 // (_FLOAT * dimension * (2 + 5))
    challenges = min(_MOST_CHALLENGES, max(_FEWEST_CHALLENGES, fitting))
    return 2 * challenges, challenges


def proofs_footprint(count: int, dimension: int, *, memory_budget: int | None = None) -> int:
    """Estimate the memory of the proofs in the stage that holds the most copies of them, in bytes.

    Args:
        count: Number n of forgotten samples.
        dimension: Length d of a proof.
        memory_budget: Memory budget, in bytes, of an auditor who compares the proofs with forged ones. None means that
            forged proofs are not tested.
    """
    proofs = _MATRICES * _FLOAT * count * dimension
    if memory_budget is None:
        return proofs
    imitated, challenges = evidence_rows(dimension, memory_budget=memory_budget)
    return proofs + _FLOAT * (imitated + 5 * challenges) * dimension


def check_memory(count: int, dimension: int, *, memory_budget: int | None = None) -> None:
    """Refuse an audit whose proofs would not fit into memory; arguments as for `proofs_footprint`.

    Raises:
        ResourceError: Less memory is free than needed.
    """
    require_memory(
        f"{count:,} proofs of {dimension:,} values, with the vectors that they are compared with,",
        proofs_footprint(count, dimension, memory_budget=memory_budget),
        remedy="forget fewer samples (unlearning.count), aggregate proofs (proofs.granularity), take a smaller "
        "model.name or model.width, or free memory",
    )
