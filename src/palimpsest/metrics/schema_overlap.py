"""Section of `metrics.json` with the copies of the clients' samples among those of the attacker."""

from typing import Literal

from palimpsest.metrics.schema_parts import Part


class OverlapMetrics(Part):
    """Samples that are among the clients' samples and among the attacker's, identically or nearly identically."""

    treatment: Literal["removed", "kept", "counted"]
    """Treatment of the copies. An audit removes them before the attack or keeps them; an attack on supplied artifacts
    counts them after the attack."""
    examined: int
    """Number of examined samples: in an audit those for the auxiliary, public and held-out sets, in an attack on
    supplied artifacts the known forgotten samples."""
    compared: int
    """Number of samples that they were compared with: in an audit the clients' training samples, in an attack on
    supplied artifacts the auxiliary or public samples."""
    exact: int
    """Number of examined samples that are identical to one of these."""
    near: int | None = None
    """Number of examined images that are not identical but nearly identical to one of these; absent if it can't be
    decided, because the samples are not images, are smaller than 8 x 8 pixels, or are too few."""
    repeated: int
    """Number of further examined samples that repeat another one."""
    remaining: int
    """Number of copies that the attack could use; 0 is best."""

    @property
    def copied(self) -> int:
        """Number of examined samples that are identical or nearly identical to one of the others."""
        return self.exact + (self.near or 0)
