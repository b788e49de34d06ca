"""Attestation checks: do proofs match the checkpoints and the classes that they name, and are all distinct?"""

from collections.abc import Iterator

from palimpsest.artifacts.models import Models
from palimpsest.datasets.numbering import Numbering, compare_numberings
from palimpsest.errors import DatasetError
from palimpsest.models import bare
from palimpsest.proofs import Proofs
from palimpsest.storage import parameters_hash, tensor_hash

_MOST_NAMED = 10


def named_models(proofs: Proofs, models: Models) -> dict[str, bool]:
    """Compare the model hashes in the proofs' metadata with the checkpoints.

    Args:
        proofs: The submitted proofs.
        models: The two models.

    Returns:
        For each of `original` and `unlearned` whose hash the metadata contains: True if the checkpoint has that hash.
    """
    both = {
        "original": (models.original, models.stored[0]),
        "unlearned": (models.unlearned, models.stored[1]),
    }
    return {
        which: proofs.metadata[which]
        in (stored, parameters_hash(model.state_dict()), parameters_hash(bare(model).state_dict()))
        for which, (model, stored) in both.items()
        if which in proofs.metadata
    }


def explain_numbering(proofs: Proofs, numbering: Numbering | None) -> str | None:
    """Compare the numbering of classes in the proofs' metadata with that of samples.

    Args:
        proofs: The submitted proofs.
        numbering: The samples' numbering, or None if their classes have no names.

    Returns:
        Both numberings side by side if they differ. None if they are equal, or one of them is unknown.

    Raises:
        ProofError: The recorded numbering is malformed.
    """
    recorded = Numbering.from_metadata(proofs.metadata)
    if recorded is None or numbering is None or recorded.names == numbering.names:
        return None
    table = compare_numberings(recorded.names, numbering.names, titles=("proofs", "samples"))
    return (
        f"The proofs were made with classes numbered by {recorded.origin[:80]}, but the samples' are numbered by "
        f"{numbering.origin}:\n{table}"
    )


def require_same_numbering(proofs: Proofs, numbering: Numbering | None, name: str) -> None:
    """Reject true samples whose classes are numbered in another way than those of the proofs.

    Args:
        proofs: The submitted proofs.
        numbering: As for `explain_numbering`.
        name: Where the samples come from, for the message.

    Raises:
        DatasetError: The numberings differ.
        ProofError: The recorded numbering is malformed.
    """
    difference = explain_numbering(proofs, numbering)
    if difference is not None:
        raise DatasetError(
            f"{name}: {difference}\nSet --class-names to the names of all classes in the order of the federation's "
            "model, or make the proofs again with that order."
        )


def attestation_checks(proofs: Proofs, models: Models | None) -> Iterator[str]:
    """Find proofs that were made for other models, and duplicate proofs.

    Args:
        proofs: The submitted proofs.
        models: The two models. If None, only duplicates are looked for.

    Yields:
        A sentence for the report about each problem.
    """
    for which, matches in (named_models(proofs, models) if models else {}).items():
        if not matches:
            yield (
                f"The proofs name another {which} model ({proofs.metadata[which][:16]!r}) than the checkpoint. They "
                "may have been submitted for another unlearning request; the scores would then be meaningless."
            )
    rows: dict[str, list[int]] = {}
    for row, vector in enumerate(proofs.vectors):
        if vector.any():
            rows.setdefault(tensor_hash(vector), []).append(row)
    copies = [group for group in rows.values() if len(group) > 1]
    for group in copies[:_MOST_NAMED]:
        numbers = ", ".join(map(str, group[:_MOST_NAMED])) + (" and more" if len(group) > _MOST_NAMED else "")
        yield f"Proofs {numbers} are identical. All but one are copies, unless their samples are identical too."
    if len(copies) > _MOST_NAMED:
        yield f"There are {len(copies) - _MOST_NAMED:,} more groups of identical proofs."
