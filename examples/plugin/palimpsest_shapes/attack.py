"""An attack: answer each proof with the auxiliary image whose gradient difference points the same way."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator

from palimpsest.attacks import Attack, AuditorView, Knowledge, Reconstruction


class NearestDifference(Attack):
    """Retrieval instead of inversion: nothing is learned, and nothing new can come out."""

    source = "this example"
    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    )

    def __call__(self, view: AuditorView, *, generator: Generator) -> Reconstruction:
        """See `Attack`: the view is all that there is; it has no forgotten image."""
        proofs = F.normalize(view.proofs)
        chunks = view.oracle.differences(view.auxiliary.images, view.auxiliary.labels)
        # A chunk at a time: all differences at once may be more than memory holds.
        similar = torch.cat([proofs @ F.normalize(chunk.cpu()).T for chunk in chunks], dim=1)
        best = similar.max(dim=1)
        return Reconstruction(
            images=view.auxiliary.images[best.indices],
            history={},
            facts={"mean_similarity": float(best.values.mean())},
        )
