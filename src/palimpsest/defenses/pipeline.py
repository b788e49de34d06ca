"""Description of several defenses in sequence, from which bounds on any attack follow."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.defenses.defense import Defense
from palimpsest.defenses.release import (
    FixedFunction,
    GaussianRelease,
    PrivateRelease,
    Release,
    UnboundedRelease,
)


@dataclass(frozen=True)
class Pipeline:
    """Several defenses in sequence, as far as bounds need them.

    Args:
        fixed: Defenses before the first one that depends on chance.
        first: Release of the first defense that depends on chance; a fixed function if there is none.
        promises: Releases of any defense in the sequence whose guarantee holds for all inputs. Steps after it can't
            weaken its guarantee, and steps before it only choose the input.
    """

    fixed: tuple[Defense, ...]
    first: Release
    promises: tuple[GaussianRelease | PrivateRelease, ...]

    @property
    def reason(self) -> str:
        """Reason why there is no bound for given candidates; empty if there is one."""
        match self.first:
            case FixedFunction(reason):
                return reason
            case UnboundedRelease(reason):
                return f"no bound: {reason}"
        return ""

    def means(self, proofs: Tensor) -> Tensor:
        """Return the expected values of the first random step's output.

        Args:
            proofs: Undefended proofs, `[n, d]`.

        Returns:
            `[n, d]`. The step must be a `GaussianRelease`.
        """
        assert isinstance(self.first, GaussianRelease), "other releases have no known mean"
        unused = torch.Generator()
        for defense in self.fixed:
            proofs = defense(proofs, generator=unused)
        return self.first.mean(proofs)


def pipeline_of(defenses: Sequence[Defense]) -> Pipeline:
    """Describe several defenses that are applied in order.

    Args:
        defenses: The defenses; none of them means that the proof itself is released.
    """
    fixed: list[Defense] = []
    first: Release = FixedFunction()
    promises: list[GaussianRelease | PrivateRelease] = []
    for defense in defenses:
        release = defense.release()
        if isinstance(first, FixedFunction):
            if isinstance(release, FixedFunction):
                fixed.append(defense)
            first = release
        if isinstance(release, PrivateRelease) or (
            isinstance(release, GaussianRelease) and release.radius is not None
        ):
            promises.append(release)
    return Pipeline(tuple(fixed), first, tuple(promises))
