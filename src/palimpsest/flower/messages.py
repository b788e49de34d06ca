"""Records of the audit's messages, and detection of the instruction to forget."""

from typing import Any

INSTRUCTION = "unlearn"
"""Default key of the app's configuration that, if true, instructs a client to forget."""

REQUEST = "palimpsest.request"
"""Record that marks a message as a request for proofs."""
ORIGINAL, UNLEARNED = "palimpsest.original", "palimpsest.unlearned"
"""Records of the two models in a request."""
PROOFS, METADATA, REFUSAL = "palimpsest.proofs", "palimpsest.metadata", "palimpsest.refusal"
"""Records of an answer: the vectors and the client's metadata, or the reason for a refusal."""


def instructs(message: Any, instruction: str) -> bool:
    """Return whether a message instructs its receiver to forget.

    Args:
        message: Flower's message.
        instruction: Key that instructs a client to forget.

    Returns:
        True if any of the message's configuration records has the key with a true value.
    """
    return any(bool(record.get(instruction, False)) for record in message.content.config_records.values())
