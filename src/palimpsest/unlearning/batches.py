"""Which of a client's samples share a batch with the forgotten ones."""

import torch
from torch import Tensor

from palimpsest.errors import UnlearningError
from palimpsest.randomness import make_generator
from palimpsest.unlearning.scenarios import Request


def deal_retained(request: Request, *, retained: int, forgotten: int, seed: int) -> Tensor:
    """Draw, for each batch of forgotten samples, retained samples of the same client.

    The batches are consecutive parts of `request.rows`, and no batch belongs to two clients.

    Args:
        request: What is forgotten.
        retained: Samples of a batch that stay, drawn without replacement; other batches may draw them again.
        forgotten: Samples of a batch that are forgotten.
        seed: The run's seed.

    Returns:
        Rows of the training images, `[b * retained]` int64, in the order of the batches.

    Raises:
        UnlearningError: A client's forgotten samples are no multiple of a batch's, or it keeps too few others.
    """
    generator = make_generator(seed, "unlearning", "batches")
    dealt = []
    for client, leaving in request.forgotten.items():
        staying = request.retained[client]
        if len(leaving) % forgotten:
            raise UnlearningError(
                f"Client {client} forgets {len(leaving)} samples, which is no multiple of observation.forgotten "
                f"({forgotten}): choose another unlearning.count, or a single client with unlearning.clients."
            )
        if len(staying) < retained:
            raise UnlearningError(
                f"Client {client} keeps {len(staying)} samples, but a batch has {retained} retained ones: lower "
                "observation.retained or unlearning.count."
            )
        for _ in range(len(leaving) // forgotten):
            dealt.append(staying[torch.randperm(len(staying), generator=generator)[:retained]])
    return torch.cat(dealt)
