"""Attack that returns, for each proof, the auxiliary image with the most similar gradient difference."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator

from palimpsest.attacks import Attack, AuditorView, Knowledge, Reconstruction


class NearestDifference(Attack):
    """Retrieve the nearest auxiliary image by cosine similarity. Nothing is trained."""

    source = "this example"
    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    )

    def __call__(self, view: AuditorView, *, generator: Generator) -> Reconstruction:
        """Attack the proofs; see `Attack`. The view holds all that an attack may use, and no forgotten image."""
        proofs = F.normalize(view.proofs)
        chunks = view.oracle.differences(view.auxiliary.images, view.auxiliary.labels)
        # The differences come in chunks, because all of them together may not fit into memory.
        similarities = torch.cat([proofs @ F.normalize(chunk.cpu()).T for chunk in chunks], dim=1)
        best = similarities.max(dim=1)
        return Reconstruction(
            images=view.auxiliary.images[best.indices],
            history={},
            facts={"mean_similarity": float(best.values.mean())},
        )
