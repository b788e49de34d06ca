"""What an audit's largest stages hold in memory at once, told before the first of them starts."""

from palimpsest.system.memory import require_memory

_FLOAT = 4
# A list of chunks, and the matrix that they are put together to; or the proofs and one forger's.
_MATRICES = 2
_MOST_CHALLENGES, _FEWEST_CHALLENGES = 256, 8


def evidence_rows(dimension: int, *, memory_budget: int) -> tuple[int, int]:
    """How much the auditor asks before it judges: as much as half of its memory holds, within reason.

    Args:
        dimension: Length d of a proof.
        memory_budget: In bytes.

    Returns:
        Samples of its own, and challenge samples.
    """
    # Twice as many of its own, and of the challenges three answers, the party's responses and a forger's.
    fitting = memory_budget // 2 // (_FLOAT * dimension * (2 + 5))
    challenges = min(_MOST_CHALLENGES, max(_FEWEST_CHALLENGES, fitting))
    return 2 * challenges, challenges


def proofs_footprint(count: int, dimension: int, *, memory_budget: int | None = None) -> int:
    """Bytes that the proofs take in the stage that holds the most copies of them.

    Args:
        count: Forgotten samples n.
        dimension: Length d of a proof.
        memory_budget: Of an auditor who compares them with forged ones; none where nobody does.
    """
    proofs = _MATRICES * _FLOAT * count * dimension
    if memory_budget is None:
        return proofs
    own, challenges = evidence_rows(dimension, memory_budget=memory_budget)
    return proofs + _FLOAT * (own + 5 * challenges) * dimension


def check_memory(count: int, dimension: int, *, memory_budget: int | None = None) -> None:
    """Refuse an audit whose proofs would not fit into memory; arguments as for `proofs_footprint`.

    Raises:
        ResourceError: Less memory is free.
    """
    require_memory(
        f"{count:,} proofs of {dimension:,} numbers, with those that they are compared with,",
        proofs_footprint(count, dimension, memory_budget=memory_budget),
        remedy="forget fewer samples (unlearning.count), take a smaller model.name or model.width, or free memory",
    )
