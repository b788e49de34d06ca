"""Configurations of the commands that work on a user's artifacts: attack, doctor and prove."""

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
from palimpsest.datasets.reading import Decoding, Orientation
from palimpsest.oracles.cached import StorageDtype
from palimpsest.system.memory import Bytes


class OracleConfig(EngineConfig):
    """The oracle that the auditor queries for gradient differences, and its limits."""

    source: str | None = None
    """Source of gradient differences. If omitted, those of the auditor's samples are computed from the two
    checkpoints; module:function calls a Python function; a folder or file holds precomputed gradients; https://...
    queries an endpoint."""
    query_budget: PositiveInt | None = None
    """Maximum number of samples to query. If omitted, there is no limit; an attack adapts to the limit."""
    batch_size: PositiveInt = 64
    """Samples per query of a function or an endpoint; an endpoint may accept fewer."""
    storage_dtype: StorageDtype = "float32"
    """Dtype of cached answers; answers of a function or an endpoint are stored in the run folder and used in this
    format. bfloat16 takes half the space."""
    attempts: PositiveInt = 6
    """Attempts per query before the run stops. If an endpoint failed, the same command resumes the run later."""
    timeout: PositiveFloat = 120.0
    """Seconds that an endpoint has to answer."""


def _gray_or_color(channels: int) -> int:
    if channels not in (1, 3):
        raise ValueError("give 1 for gray images or 3 for color images.")
    return channels


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    repeated = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if repeated is not None:
        raise ValueError(f"{repeated!r} occurs twice. Name each class once.")
    return names


class CheckpointsConfig(RunConfig):
    """The user's two checkpoints, their network, and the preprocessing of its input."""

    original: Path | None = None
    """Model before unlearning. A state dict in a safetensors file, or in a torch file that holds only tensors."""
    unlearned: Path | None = None
    """Model after unlearning, in the same format."""
    model: str | None = None
    """Network as module:factory or as a built-in architecture. Examples are mypackage.nets:Net and lenet."""
    model_arguments: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the factory. On the command line they are YAML, such as '{num_classes: 10}'."""
    trainable: tuple[str, ...] | None = None
    """Patterns of the parameters that clients train, such as 'head.*'. If omitted, those that the factory does not
    freeze."""
    mean: tuple[float, ...] | None = None
    """Mean of each channel, subtracted from images in [0, 1]. Leave it out if the network normalizes images itself."""
    std: tuple[PositiveFloat, ...] | None = None
    """Standard deviation that each channel is divided by."""
    image_size: Annotated[int, Field(ge=4)] | None = None
    """Scale images to this side length in pixels. If omitted, images keep their size."""
    channels: Annotated[int, AfterValidator(_gray_or_color)] | None = None
    """Convert images to 1 gray or 3 color channels. If omitted, images keep their channels; torchvision's ImageFolder
    converts to 3."""
    white_level: PositiveFloat | None = None
    """Value that becomes 1 in gray images of more than 8 bits. 255 reads them as torchvision's ImageFolder does, which
    clips greater values; 65535 and 4095 use the whole range of 16 and 12 bits. If omitted, such images are refused."""
    exif_orientation: Orientation | None = None
    """Orientation of photographs. With apply they are turned upright, with ignore they stay as they are stored. If
    omitted, those in parquet files are turned, as in Hugging Face's datasets; others are not, as in torchvision."""
    class_names: Annotated[tuple[str, ...], AfterValidator(_distinct)] | None = None
    """Names of all classes in the model's order. They number class folders and labels that are names. If omitted, the
    names in the original checkpoint's config.json or in a parquet file, or else, if there are as many class folders as
    classes, the folders in alphabetical order, as in torchvision."""
    defenses: Defenses = ()
    """Defenses that clients apply to their proofs, in order. A name such as sign, or a list such as
    '[{name: prune, ratio: 0.9}, sign]', which is YAML on the command line. An attack imitates the defenses. With
    gradients, only clip-noise and gaussian are accepted; the attack then knows the noise."""
    seed: NonNegativeInt = 1234
    """Seed of all random numbers."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to compute on; auto uses a GPU if there is one."""
    memory_budget: Bytes = 4 * 2**30
    """Memory limit, such as 500MB; by default 4GiB."""

    @property
    def decoding(self) -> Decoding:
        """The choices for the reading of image files."""
        return Decoding(self.white_level, self.exif_orientation)


class ProveConfig(CheckpointsConfig):
    """The inputs of `palimpsest prove`: two checkpoints and the forgotten samples."""

    samples: str
    """Forgotten samples. Images come from a folder of class folders, a .parquet file, a .csv table of file names and
    labels, a known data set, or hf:owner/name for a data set on the hub. Other samples come from a .csv or .parquet
    table with a column label and columns of numbers, or with a column tokens."""
    samples_split: str | None = None
    """Use only this split of the samples. If omitted, all splits are used."""


class ArtifactsConfig(CheckpointsConfig):
    """The artifacts that a user supplies for an attack, and the attack's settings.

    Either `proofs` or `gradients` is required, and so is `auxiliary`.

    Example:
        >>> config = ArtifactsConfig(proofs="proofs.safetensors", auxiliary="digits")
        >>> config.attack.name
        'strongest'
    """

    proofs: Path | None = None
    """Proofs of the clients, for an attack by the auditor. A safetensors file with one float32 tensor `vectors`
    [n, d]."""
    gradients: Path | None = None
    """Gradients of b batches, for an attack by the server. Instead of proofs, a safetensors file with
    `gradients_before` and `gradients_after` [b, d], or the clients' updates as `updates_before` and `updates_after`."""
    observation: ObservationConfig = Field(default_factory=ObservationConfig)
    retained_truth: str | None = None
    """Retained images of a server's attack, for scoring. They are in the order of the batches, and only scores and
    `palimpsest doctor` use them."""
    download: bool = False
    """Download VGG-16's weights if the perceptual loss needs them. If off, the attack runs without it."""
    auxiliary: str
    """Auxiliary samples of the attacker. Images come from a folder of class folders, a .parquet file, a .csv table, a
    known data set, or hf:owner/name for a data set on the hub; other samples from a table of rows or tokens, as in
    `palimpsest prove`."""
    auxiliary_split: str | None = None
    """Use only this split of the auxiliary samples, such as test. If omitted, all splits are used."""
    auxiliary_size: PositiveInt | None = None
    """Use only this many auxiliary samples, drawn at random. If omitted, all are used."""
    truth: str | None = None
    """Forgotten samples, in the order of the proofs or batches. Only scores use them; if omitted, nothing is scored."""
    vocabulary: Path | None = None
    """Text file with one token per line. The lines are in the order of the tokens' numbers, and turn reconstructed
    sequences of tokens into words."""
    truth_split: str | None = None
    """Use only this split of the truth, such as test. If omitted, all splits are used."""
    oracle: OracleConfig = Field(default_factory=OracleConfig)
    verification: VerificationConfig = Field(default_factory=VerificationConfig)
    attack: AttackConfig = Field(default_factory=AttackConfig)
    scoring: ScoringConfig = Field(default_factory=ScoringConfig)

    @property
    def attacked_file(self) -> Path:
        """The file of proofs or of gradients, whichever is given."""
        path = self.proofs or self.gradients
        assert path is not None, "one of them is given"
        return path

    @model_validator(mode="after")
    def _check_the_attacked_file(self) -> Self:
        if (self.proofs is None) == (self.gradients is None):
            raise ValueError(
                "give either proofs, for an attack by the auditor, or gradients, for an attack by the server."
            )
        return self


def read_artifacts_config(
    path: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> ArtifactsConfig:
    """Build a configuration of a user's artifacts from a YAML file, from keys, or from both.

    Args:
        path: A YAML file with the keys of `ArtifactsConfig`, such as a run folder's `config.yaml`. If None, only
            `overrides` count.
        overrides: Nested keys, as in `{"attack": {"epochs": 5}}`. They take precedence over the file.

    Raises:
        ConfigurationError: The file can't be read, a required key is missing, or a key or value is not accepted.

    Example:
        >>> config = read_artifacts_config(None, {"proofs": "proofs.safetensors", "auxiliary": "digits", "seed": 5})
        >>> config.seed
        5
    """
    tree = {} if path is None else read_mapping(path)
    where = "the artifacts" if path is None else str(path)
    return validate(ArtifactsConfig, merged(tree, overrides or {}, ArtifactsConfig), where=where)
