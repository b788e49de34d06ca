"""Orthogonal obfuscation that gives the same answer each time it is asked."""

import hashlib
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field
from torch import Generator, Tensor

from palimpsest.defenses.defense import fill_normal
from palimpsest.defenses.orthogonal import OrthogonalObfuscation
from palimpsest.randomness import fork
from palimpsest.registry import DEFENSES


@DEFENSES.register("orthogonal-sample-seeded")
class SampleSeededObfuscation(OrthogonalObfuscation):
    """Orthogonal obfuscation (IGF, Eq. 10) whose randomness is a keyed hash of the proof itself.

    A proof that is issued many times looks the same each time, so that an auditor has nothing to intersect.
    The promise holds for the same bits: a proof computed again in another batch may differ in its last
    digits, and then gets another answer, so keep what was issued.
    """

    source: ClassVar[str] = "IGF, section 3.3, Eq. 10, with the sample's own seed"

    key: Annotated[int, Field(ge=0, lt=2**63, exclude=True)] = 0
    """The client's secret, not published with the proofs; set your own, for the default is known."""

    def draw(self, noise: Tensor, proof: Tensor, generator: Generator) -> None:
        """Fill `noise` with the random vector of Eq. 10, which the key and the proof's bytes alone decide."""
        # Adding zero turns -0.0 into 0.0: equal proofs have equal bytes.
        content = (proof + 0.0).cpu().numpy().data
        digest = hashlib.blake2b(content, digest_size=8, key=self.key.to_bytes(8, "big")).digest()
        fill_normal(noise, torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1))

    def rekeyed(self, generator: Generator) -> Self:
        """The same defense under another party's key."""
        return self.model_copy(update={"key": fork(generator)})
