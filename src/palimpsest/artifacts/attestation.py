"""What of the proofs that were brought can't be as their senders say."""

from collections.abc import Iterator

from palimpsest.artifacts.models import Models
from palimpsest.models import bare
from palimpsest.proofs import Proofs
from palimpsest.storage import parameters_hash, tensor_hash

_NAMED = 10


def named_models(proofs: Proofs, models: Models) -> dict[str, bool]:
    """For each of `original` and `unlearned` that the proofs name by its hash, whether it is the checkpoint.

    Args:
        proofs: As they were handed in.
        models: The two checkpoints' networks.
    """
    both = {"original": models.original, "unlearned": models.unlearned}
    return {
        which: proofs.metadata[which] in map(parameters_hash, (model.state_dict(), bare(model).state_dict()))
        for which, model in both.items()
        if which in proofs.metadata
    }


def attestation_checks(proofs: Proofs, models: Models | None) -> Iterator[str]:
    """Sentences for the report: proofs for other models, and proofs that came more than once.

    Args:
        proofs: As they were handed in.
        models: The two checkpoints' networks, where they are held.
    """
    for which, same in (named_models(proofs, models) if models else {}).items():
        if not same:
            yield (
                f"The proofs name another {which} model ({proofs.metadata[which][:16]!r}) than the checkpoint: they "
                "may have been handed in for another request, and the figures are then of no worth."
            )
    rows: dict[str, list[int]] = {}
    for row, vector in enumerate(proofs.vectors):
        if vector.any():
            rows.setdefault(tensor_hash(vector), []).append(row)
    copies = [places for places in rows.values() if len(places) > 1]
    for places in copies[:_NAMED]:
        told = ", ".join(map(str, places[:_NAMED])) + (" and more" if len(places) > _NAMED else "")
        yield f"Proofs {told} are one and the same: all but one of them are copies, unless their samples are."
    if len(copies) > _NAMED:
        yield f"So are {len(copies) - _NAMED:,} more groups of proofs."
