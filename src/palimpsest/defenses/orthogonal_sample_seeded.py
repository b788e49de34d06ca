"""Orthogonal obfuscation that gives the same result each time."""

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
    """Orthogonal obfuscation (IGF, Eq. 10) whose randomness is a keyed hash of the proof.

    Releases of the same proof are identical, so that an auditor cannot intersect them. This requires the same bits: a
    proof that is computed again in another batch may differ in its last digits and then gets another result. Store the
    proofs that were released.
    """

    source: ClassVar[str] = "IGF, section 3.3, Eq. 10, with the sample's own seed"

    key: Annotated[int, Field(ge=0, lt=2**63, exclude=True)] = 0
    """The client's secret, not published with the proofs. The default is public, so set another."""

    def draw(self, noise: Tensor, proof: Tensor, generator: Generator) -> None:
        """Fill a buffer with the random vector of Eq. 10, which depends only on the key and the proof's bytes.

        Args:
            noise: Buffer to fill, `[d]`.
            proof: The proof, `[d]`.
            generator: Not used.
        """
        # Adding zero turns -0.0 into 0.0, so that equal proofs have equal bytes.
        content = (proof + 0.0).cpu().numpy().data
        digest = hashlib.blake2b(content, digest_size=8, key=self.key.to_bytes(8, "big")).digest()
        fill_normal(noise, torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1))

    def rekeyed(self, generator: Generator) -> Self:
        """Return the defense with a key drawn for another party; see `Defense`."""
        return self.model_copy(update={"key": fork(generator)})
