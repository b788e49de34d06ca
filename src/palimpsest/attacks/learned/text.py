"""IGF for sequences of tokens: reconstruct embeddings, and read each as the nearest token's."""

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
    """Learn, on sequences of the auditor's own, to give an embedding for each place, and take the nearest token.

    The embeddings are the auditor's: directions drawn at random, for the grey box hides the model's. A token that no
    auxiliary sequence has can't come out.
    """

    source: ClassVar[str] = "IGF, section 3.2; nearest embeddings as in LAMP (Balunovic et al., 2022)"
    takes: ClassVar[type[SampleSet]] = TokenSet

    embedding: PositiveInt = 64
    """Numbers in the embedding of a token."""

    def mix(self, inputs: Tensor, others: Tensor, generator: Generator) -> Tensor:
        """Each place's token from one sequence or the other; see `VectorInversion.mix`."""
        return torch.where(torch.rand(inputs.shape, generator=generator) < 0.5, inputs, others)

    def targets(self, samples: TokenSet) -> Tensor:
        """The embeddings of each sequence, one after the other; see `VectorInversion.targets`."""
        return self._embeddings(samples)[samples.tokens].flatten(1)

    def read(self, outputs: Tensor, samples: TokenSet) -> Tensor:
        """Tokens `[n, length]`: at each place the one whose embedding is nearest; see `VectorInversion.read`."""
        table, known = self._embeddings(samples), samples.tokens.unique()
        places = outputs.view(len(outputs), *samples.shape, self.embedding)
        alike = torch.stack([F.normalize(row, dim=-1) @ table[known].T for row in places])
        return known[alike.argmax(-1)]

    def _embeddings(self, samples: TokenSet) -> Tensor:
        """Unit vectors `[tokens, embedding]`, the same whenever they are asked for."""
        count = int(samples.tokens.max()) + 1
        drawn = torch.randn(count, self.embedding, generator=make_generator(0, "token embeddings"))
        return F.normalize(drawn, dim=1)
