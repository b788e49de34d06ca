"""IGF for sequences of tokens: reconstruct embeddings, then take the nearest token of each."""

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
    """Learn, on the auditor's sequences, to give an embedding for each position, and take the nearest token.

    The embeddings are the auditor's: random directions, because the gray box hides the model's. A token that occurs in
    no auxiliary sequence is never reconstructed.
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

    def read(self, outputs: Tensor, samples: TokenSet) -> Tensor:
        """Take the token with the nearest embedding at each position, `[n, length]`; see `VectorInversion.read`."""
        table, known = self._embeddings(samples), samples.tokens.unique()
        positions = outputs.view(len(outputs), *samples.shape, self.embedding)
        similarities = torch.stack([F.normalize(row, dim=-1) @ table[known].T for row in positions])
        return known[similarities.argmax(-1)]

    def _embeddings(self, samples: TokenSet) -> Tensor:
        """Unit vectors `[tokens, embedding]`, the same in every call."""
        count = int(samples.tokens.max()) + 1
        directions = torch.randn(count, self.embedding, generator=make_generator(0, "token embeddings"))
        return F.normalize(directions, dim=1)
