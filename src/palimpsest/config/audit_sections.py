"""The sections of an audit's configuration."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, field_validator

from palimpsest.config.section import NonNegativeInt, PositiveInt, Section
from palimpsest.errors import ConfigurationError
from palimpsest.registry import (
    AGGREGATIONS,
    ATTACKS,
    DATASETS,
    DEFENSES,
    METHODS,
    METRICS,
    MODELS,
    PARTITIONS,
)


class DataConfig(Section):
    """Images, and their partition among the clients."""

    selectors: ClassVar = {"partition": PARTITIONS}

    name: str = "digits"
    """Data set, such as digits or cifar10. It may also be a folder of class folders, a .parquet file, a .csv table of
    file names and labels, or hf:owner/name for a data set on the hub."""
    auxiliary: str | None = None
    """Data set of the attacker's auxiliary images. If omitted, the test split of the federation's data set, which has
    the same distribution."""
    auxiliary_size: PositiveInt = 800
    """Number of the attacker's auxiliary images. If the data set has fewer, all are used, and the report notes it."""
    auxiliary_overlap: Literal["remove", "keep"] = "remove"
    """Auxiliary images that are identical or nearly identical to a client's training image, or to another auxiliary
    image; with remove they are not used, with keep they are. The report counts them either way."""
    partition: str = "iid"
    """Partition of the data among the clients."""
    train_size: PositiveInt | None = None
    """Use only this many training images, drawn at random. If omitted, all are used."""
    image_size: Annotated[int, Field(ge=4)] | None = None
    """Scale images to this side length in pixels. If omitted, images keep their size."""
    white_level: PositiveFloat | None = None
    """Value that becomes 1 in gray images of more than 8 bits. 255 reads them as torchvision's ImageFolder does, which
    clips greater values; 65535 and 4095 use the whole range of 16 and 12 bits. If omitted, such images are refused."""
    exif_orientation: Literal["ignore", "apply"] | None = None
    """Orientation of photographs. With apply they are turned upright, with ignore they stay as they are stored. If
    omitted, those in parquet files are turned, as in Hugging Face's datasets; others are not, as in torchvision."""

    def build_partition(self) -> Any:
        """Build the partition that `partition` names, with its settings."""
        return self.component("partition")

    @cached_property
    def packages(self) -> tuple[str, ...]:
        """The third-party packages, as in `Section.packages`, including those of the data sets."""
        sets = {DATASETS.package_of(name) for name in (self.name, self.auxiliary) if name}
        return tuple(sorted({*super().packages, *sets} - {""}))


class ModelConfig(Section):
    """The classifier that the federation trains."""

    selectors: ClassVar = {"name": MODELS}

    name: str = "convnet"
    """Architecture of the classifier."""

    def build(self) -> Any:
        """Build the architecture that `name` names; called with shape and classes, it makes a network."""
        return self.component("name")


class FederationConfig(Section):
    """Federated training of the classifier (IGF, section 4.1)."""

    selectors: ClassVar = {"aggregation": AGGREGATIONS}

    clients: PositiveInt = 40
    """Number of clients that hold the data."""
    fraction: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Fraction of clients that train in a round; at least one does."""
    rounds: PositiveInt = 20
    """Rounds of training."""
    local_epochs: PositiveInt = 1
    """Epochs over a client's images in a round."""
    batch_size: PositiveInt = 32
    """Batch size of local SGD."""
    learning_rate: PositiveFloat = 0.05
    """Learning rate of local SGD."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum of local SGD; it starts at zero in every round."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Weight decay of local SGD."""
    dp_noise_multiplier: PositiveFloat | None = None
    """DP-SGD: standard deviation of the noise on the sum of clipped gradients, in units of dp_clip. It applies to
    training and to unlearning, each with its own noise. If omitted, training is not private."""
    dp_clip: PositiveFloat = 1.0
    """DP-SGD: largest norm of a sample's gradient. It applies with dp_noise_multiplier."""
    dp_delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    """DP-SGD: probability with which the privacy loss may exceed the reported epsilon."""
    aggregation: str = "fedavg"
    """Aggregation of the clients' models."""
    minimum_replies: PositiveInt = 1
    """Minimum number of replies in a round. A round with fewer is repeated."""
    attempts: PositiveInt = 3
    """Attempts at a round before the run fails."""
    engine: Literal["in-process", "flower-simulation"] = "in-process"
    """Engine that runs the clients; flower-simulation is Flower on Ray and needs the extra `flower`."""

    def build_aggregation(self) -> Any:
        """Build the aggregation that `aggregation` names, with its settings."""
        return self.component("aggregation")


class UnlearningConfig(Section):
    """Samples to forget, and the unlearning method (IGF, section 3.1)."""

    selectors: ClassVar = {"method": METHODS}
    only_with: ClassVar = {
        "scenario": {
            "sample": ("count", "fraction", "indices", "clients"),
            "class": ("classes",),
            "client": ("clients",),
        }
    }

    scenario: Literal["sample", "class", "client"] = "sample"
    """Unit to forget; single samples, all samples of some classes, or all samples of some clients."""
    count: PositiveInt | None = None
    """Sample level: number of forgotten samples."""
    fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Sample level: fraction of forgotten samples; it counts the samples of the chosen clients."""
    indices: tuple[NonNegativeInt, ...] | None = None
    """Sample level: rows of the training set. Exactly these samples are forgotten."""
    classes: tuple[NonNegativeInt, ...] = (1,)
    """Class level: classes to forget. All clients forget them; the paper uses class 1."""
    clients: tuple[NonNegativeInt, ...] | None = None
    """Client level: clients to forget. If omitted, client 2, the paper's third. Sample level: the clients whose samples
    are drawn; if omitted, all clients."""
    method: str = "retrain"
    """Unlearning method."""
    ensure_participation: bool = True
    """Include unlearning clients in training. Each takes part in at least one round, in place of a client that was
    drawn."""
    fresh_seed: bool = False
    """Retrain with another seed. Initialization and client sampling then differ, so that a gradient difference also
    contains their noise."""

    def build(self) -> Any:
        """Build the unlearning method that `method` names, with its settings."""
        return self.component("method")

    def by(self, method: str, *, fresh_seed: bool = False) -> "UnlearningConfig":
        """Return the same unlearning request with another method.

        Args:
            method: Name of the method, which gets its default settings.
            fresh_seed: The new value of `fresh_seed`.
        """
        request = self.model_dump(include=set(UnlearningConfig.model_fields))
        return UnlearningConfig.model_validate({**request, "method": method, "fresh_seed": fresh_seed})


class EngineConfig(Section):
    """Computation of the oracle's answers."""

    engine: Literal["in-process", "ray"] = "in-process"
    """Gradient computation; in this process, or shared among Ray's workers (needs the extra `flower`)."""


class DefenseConfig(Section):
    """A defense that clients apply to their proofs before they submit them."""

    selectors: ClassVar = {"name": DEFENSES}

    name: str
    """Name of the defense."""

    def build(self) -> Any:
        """Build the defense that `name` names, with its settings."""
        return self.component("name")


def listed_defenses(value: Any) -> list[Any]:
    """Return defenses as a list of mappings or configurations.

    Args:
        value: A list of names, mappings and configurations, or one of them alone. A name gets the default settings.

    Raises:
        ValueError: An entry is not a name, a mapping or a configuration.
    """
    entries = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(entry, str | Mapping | DefenseConfig) for entry in entries):
        raise ValueError("give a defense's name, or a list such as '[{name: prune, ratio: 0.9}, sign]'.")
    return [{"name": entry} if isinstance(entry, str) else entry for entry in entries]


Defenses = Annotated[tuple[DefenseConfig, ...], BeforeValidator(listed_defenses)]


class ObservationConfig(Section):
    """Batches of the unlearning clients that the server observes, for attacks by the server (DRAGD, threat model)."""

    retained: PositiveInt = 4
    """Retained samples in a batch."""
    forgotten: PositiveInt = 1
    """Forgotten samples in a batch. It must divide the number of samples that each client forgets."""
    local_steps: PositiveInt = 1
    """Full-batch steps of a client. The server observes the gradient of one step, or the update of several."""
    learning_rate: PositiveFloat = 0.1
    """Learning rate of the local steps; without effect for a single step."""


class AttackConfig(Section):
    """The attack and its settings."""

    selectors: ClassVar = {"name": ATTACKS}

    name: str = "strongest"
    """Name of the attack; strongest runs the attacks that fit what the attacker holds and reports the worst case."""

    def build(self) -> Any:
        """Build the attack that `name` names, with its settings."""
        return self.component("name")


class MembershipConfig(Section):
    """Membership tests on shadow federations."""

    shadows: Annotated[NonNegativeInt, Field(multiple_of=2)] = 0
    """Even number of shadow federations; each costs a training."""
    pairs: PositiveInt = 200
    """Largest number of forgotten samples, and of retained ones, that are tested; each is compared with a sample that
    was never trained on. A false positive rate of 1 % needs 100."""


class ScoringConfig(Section):
    """Comparison of the reconstructions with the originals."""

    lpips_network: Literal["alex", "squeeze", "vgg"] = "alex"
    """Network of the LPIPS metric."""
    bootstrap: PositiveInt = 1000
    """Bootstrap resamples for each 95 % interval."""
    metrics: tuple[str, ...] = ()
    """Additional metrics, such as mae. Metrics of installed packages can be named too; MSE, PSNR, SSIM and LPIPS are
    always computed."""

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for name in names:
                METRICS.get(name)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        if len(set(names)) < len(names):
            raise ValueError("a metric is named twice: name each metric once.")
        return names

    @cached_property
    def packages(self) -> tuple[str, ...]:
        """The third-party packages of the additional metrics, as in `Section.packages`."""
        return tuple(sorted({METRICS.package_of(name) for name in self.metrics} - {""}))
