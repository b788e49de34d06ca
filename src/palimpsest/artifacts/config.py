"""What somebody brings to be examined: proofs, models, images and an oracle of their own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from palimpsest.config import (
    AttackConfig,
    Defenses,
    EngineConfig,
    ObservationConfig,
    RunConfig,
    ScoringConfig,
    VerificationConfig,
    merged,
    read_mapping,
    validate,
)
from palimpsest.oracles.cached import StorageDtype
from palimpsest.system.memory import Bytes


class OracleConfig(EngineConfig):
    """Who answers the auditor's questions, and how many it may ask."""

    source: str | None = None
    """Where gradient differences of the auditor's samples come from: none computes them from the two checkpoints;
    module:function calls Python; a folder or file holds precomputed ones; https://... asks an endpoint."""
    query_budget: PositiveInt | None = None
    """Samples that may be asked about in all; the attack makes do with them; none for no limit."""
    batch_size: PositiveInt = 64
    """Samples in a question to a function or an endpoint; an endpoint may take fewer."""
    storage_dtype: StorageDtype = "float32"
    """In which numbers their answers are kept in the run folder, and used: bfloat16 takes half of the room."""
    attempts: PositiveInt = 6
    """How often a question is sent to an endpoint before the run ends; the same command goes on later."""
    timeout: PositiveFloat = 120.0
    """Seconds that an endpoint has for an answer."""


def _gray_or_color(channels: int) -> int:
    if channels not in (1, 3):
        raise ValueError("give 1 for gray images or 3 for color.")
    return channels


class OwnModels(RunConfig):
    """Two models of somebody's own, and how images come to them."""

    original: Path | None = None
    """The model before unlearning: a state dict in safetensors, or in a torch file of nothing but tensors."""
    unlearned: Path | None = None
    """The model after it."""
    model: str | None = None
    """What makes the network: module:factory, such as mypackage.nets:Net, or an architecture of this package."""
    model_arguments: dict[str, Any] = Field(default_factory=dict)
    """What the factory is called with, by keyword; on the command line as YAML: '{num_classes: 10}'."""
    mean: tuple[float, ...] | None = None
    """What is subtracted from each channel of images in [0, 1], where the network does not normalize them itself."""
    std: tuple[PositiveFloat, ...] | None = None
    """What each channel is then divided by."""
    image_size: Annotated[int, Field(ge=4)] | None = None
    """Scale every image to so many pixels a side; none leaves them as they are."""
    channels: Annotated[int, AfterValidator(_gray_or_color)] | None = None
    """Bring every image to gray (1) or to color (3), as torchvision's ImageFolder does; none leaves them as they
    are."""
    class_names: tuple[str, ...] | None = None
    """Names of the class folders in the model's order; none takes the auxiliary images' folders in alphabetical order,
    as torchvision does."""
    defenses: Defenses = ()
    """What clients do to their proofs, in order: a name such as sign, or on the command line as YAML a list such as
    '[{name: prune, ratio: 0.9}, sign]'; an attack imitates it."""
    seed: NonNegativeInt = 1234
    """Everything random follows from it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where tensors are computed; auto takes a GPU if there is one."""
    memory_budget: Bytes = 4 * 2**30
    """What may be held at once, such as 500MB or 4GiB (the default)."""


class ProveConfig(OwnModels):
    """What proofs are made of."""

    samples: str
    """The forgotten samples: a folder of class folders, a .parquet file, a .csv table of file names and labels, a
    known set, or hf:owner/name for any on the hub. Or what are no images: a .csv or .parquet table with the column
    label and columns of numbers, or with the column tokens."""
    samples_split: str | None = None
    """Take only this split of them; none takes all."""


class ArtifactsConfig(OwnModels):
    """A case: what is brought, and what is done with it."""

    proofs: Path | None = None
    """The clients' proofs, which an auditor attacks: safetensors with one float32 tensor `vectors` [n, d]."""
    gradients: Path | None = None
    """What a server saw of b batches, instead of proofs: safetensors with `gradients_before` and `gradients_after`
    [b, d], or the clients' updates as `updates_before` and `updates_after`."""
    observation: ObservationConfig = Field(default_factory=ObservationConfig)
    retained_truth: str | None = None
    """A server's attack: the images that stay, in the order of the batches, for scores and the examination alone."""
    auxiliary: str
    """The auditor's own samples: images as a folder of class folders, a .parquet file, a .csv table, a known set, or
    hf:owner/name for any on the hub; or a table of rows or tokens, as prove takes it."""
    auxiliary_split: str | None = None
    """Take only this split of them, such as test; none takes all."""
    auxiliary_size: PositiveInt | None = None
    """Take only so many, drawn at random; none takes all."""
    truth: str | None = None
    """The forgotten samples, in the order of the proofs or batches, for scores alone; none scores nothing."""
    vocabulary: Path | None = None
    """For sequences of tokens: a text file with a token on each line, in order, to tell reconstructions in words."""
    truth_split: str | None = None
    """Take only this split of them; none takes all."""
    oracle: OracleConfig = Field(default_factory=OracleConfig)
    verification: VerificationConfig = Field(default_factory=VerificationConfig)
    attack: AttackConfig = Field(default_factory=AttackConfig)
    scoring: ScoringConfig = Field(default_factory=ScoringConfig)

    @property
    def brought(self) -> Path:
        """The file that is attacked."""
        path = self.proofs or self.gradients
        assert path is not None, "one of them is given"
        return path

    @model_validator(mode="after")
    def _one_thing_is_attacked(self) -> Self:
        if (self.proofs is None) == (self.gradients is None):
            raise ValueError(
                "give either proofs, which an auditor attacks, or gradients, which a server saw."
            )
        return self


def read_artifacts_config(
    path: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> ArtifactsConfig:
    """Build a case from a YAML file, or from keys alone.

    Args:
        path: The keys of `ArtifactsConfig`, as a run folder's `config.yaml` has them; none for none.
        overrides: Nested keys; they win over the file.

    Raises:
        ConfigurationError: A key is missing, or a key or value is not accepted.
    """
    tree = {} if path is None else read_mapping(path)
    where = "the case" if path is None else str(path)
    return validate(ArtifactsConfig, merged(tree, overrides or {}, ArtifactsConfig), where=where)
