"""IGF for token sequences, by reconstructed embeddings and their nearest tokens."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Generator, Tensor

from palimpsest.attacks.learned.non_image import VectorInversion
from palimpsest.datasets import SampleSet, TokenSet
from palimpsest.randomness import make_generator
from palimpsest.registry import ATTACKS


@ATTACKS.register("igf-tokens")
class TokenInversion(VectorInversion):
    """Train a network on the auditor's sequences to reconstruct the embedding at each position; take the nearest token.

    The embeddings are random directions drawn by the auditor, because the gray box hides the model's embeddings. A
    token that occurs in no auxiliary sequence is never reconstructed.
    """

    source: ClassVar[str] = "IGF, section 3.2; nearest embeddings as in LAMP (Balunovic et al., 2022)"
    takes: ClassVar[type[SampleSet]] = TokenSet

    embedding: PositiveInt = 64
    """Length of a token's embedding."""

    def mix(self, inputs: Tensor, others: Tensor, generator: Generator) -> Tensor:
        """Take the token of each position from one of the two sequences; see `VectorInversion.mix`."""
        return torch.where(torch.rand(inputs.shape, generator=generator) < 0.5, inputs, others)

    def targets(self, samples: TokenSet) -> Tensor:
        """Concatenate the embeddings of each sequence; see `VectorInversion.targets`."""
        return self._embeddings(samples)[samples.tokens].flatten(1)

    def decode(self, outputs: Tensor, samples: TokenSet) -> Tensor:
        """Return the token with the nearest embedding at each position, `[n, length]`; see `VectorInversion.decode`."""
        table, known = self._embeddings(samples), samples.tokens.unique()
        positions = outputs.view(len(outputs), *samples.shape, self.embedding)
        similarities = torch.stack([F.normalize(row, dim=-1) @ table[known].T for row in positions])
        return known[similarities.argmax(-1)]

    def _embeddings(self, samples: TokenSet) -> Tensor:
        """Draw the tokens' embeddings, unit vectors `[tokens, embedding]`, which are the same in each call."""
        count = int(samples.tokens.max()) + 1
        directions = torch.randn(count, self.embedding, generator=make_generator(0, "token embeddings"))
        return F.normalize(directions, dim=1)
