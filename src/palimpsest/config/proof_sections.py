"""The sections of an audit's configuration about its proofs: their aggregation and their verification."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, model_validator

from palimpsest.config.section import PositiveInt, Section

Granularity = Literal["sample", "client", "federation"]
"""Samples behind a proof: one, some of a client's, or those of all clients."""


class ProofsConfig(Section):
    """Aggregation of the proofs."""

    only_with: ClassVar = {"granularity": {"client": ("group_size",)}}

    granularity: Granularity = "sample"
    """Samples behind a proof, the mean of their gradient differences; one, all of a client's, or those of all clients,
    as secure aggregation reveals them."""
    group_size: PositiveInt | None = None
    """Client granularity: samples behind a proof, in place of all of the client's. Its last proof also takes the
    remainder."""

    @model_validator(mode="after")
    def _check_group_size(self) -> "ProofsConfig":
        if self.group_size is not None and self.granularity != "client":
            raise ValueError(
                f"group_size is {self.group_size}, but granularity is {self.granularity}: set granularity to client, "
                "or leave group_size out."
            )
        return self

    @property
    def aggregated(self) -> bool:
        """Whether a proof is a mean over several samples."""
        return self.granularity != "sample"


class VerificationConfig(Section):
    """Verification of the proofs (IGF, section 3.1)."""

    tau: PositiveFloat | Literal["calibrated"] = "calibrated"
    """Largest norm of a valid proof; calibrated derives it from samples that were never trained on."""
    quantile: Annotated[float, Field(gt=0, le=1)] = 0.99
    """Quantile of the calibration samples' norms. This fraction of held-out samples is accepted."""
