"""Choice of the retained samples that share a batch with forgotten ones."""

import torch
from torch import Tensor

from palimpsest.errors import UnlearningError
from palimpsest.randomness import make_generator
from palimpsest.unlearning.scenarios import Request


def deal_retained(request: Request, *, retained: int, forgotten: int, seed: int) -> Tensor:
    """Draw, for each batch of forgotten samples, retained samples of the same client.

    The batches are consecutive parts of `request.rows`, and no batch has samples of two clients.

    Args:
        request: Samples to forget and to retain.
        retained: Number of retained samples in a batch. They are drawn without replacement, but other batches may draw
            them again.
        forgotten: Number of forgotten samples in a batch.
        seed: Seed of the run.

    Returns:
        Rows of the training images, `[b * retained]` int64, in the order of the batches.

    Raises:
        UnlearningError: A client's number of forgotten samples is not a multiple of `forgotten`, or it has fewer than
            `retained` other samples.
    """
    generator = make_generator(seed, "unlearning", "batches")
    drawn = []
    for client, forgotten_rows in request.forgotten.items():
        retained_rows = request.retained[client]
        if len(forgotten_rows) % forgotten:
            raise UnlearningError(
                f"Client {client} forgets {len(forgotten_rows)} samples, which is not a multiple of "
                f"observation.forgotten ({forgotten}). Choose another unlearning.count, or a single client with "
                "unlearning.clients."
            )
        if len(retained_rows) < retained:
            raise UnlearningError(
                f"Client {client} keeps {len(retained_rows)} samples, but a batch needs {retained} retained ones. "
                "Lower observation.retained or unlearning.count."
            )
        for _ in range(len(forgotten_rows) // forgotten):
            order = torch.randperm(len(retained_rows), generator=generator)
            drawn.append(retained_rows[order[:retained]])
    return torch.cat(drawn)
