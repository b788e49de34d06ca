"""What the audit reads in an app's messages, and what it sends itself."""

from typing import Any

INSTRUCTION = "unlearn"
"""The key of an app's own configuration that, if it is true, tells a client to forget."""

REQUEST = "palimpsest.request"
"""The record that makes a message a request for proofs."""
ORIGINAL, UNLEARNED = "palimpsest.original", "palimpsest.unlearned"
"""The models that it comes with."""
PROOFS, METADATA, REFUSAL = "palimpsest.proofs", "palimpsest.metadata", "palimpsest.refusal"
"""What the answer consists of: vectors and what the client says of them, or why there are none."""


def instructs(message: Any, instruction: str) -> bool:
    """Whether a message tells its receiver to forget: any of its configurations has the key, and it is true."""
    return any(bool(record.get(instruction, False)) for record in message.content.config_records.values())
