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
    """Which images, and who holds them."""

    selectors: ClassVar = {"partition": PARTITIONS}

    name: str = "digits"
    """A known set, such as digits or cifar10, a folder of class folders, a .parquet file, a .csv table of file names
    and labels, or hf:owner/name for any on the hub."""
    auxiliary: str | None = None
    """The attacker's own images: another set, or none for the test split of the same one (in distribution)."""
    auxiliary_size: PositiveInt = 800
    """How many auxiliary images the attacker holds; fewer are taken where the set has fewer, and the report says so."""
    partition: str = "iid"
    """How the training images are dealt to the clients."""
    train_size: PositiveInt | None = None
    """Take only so many training images, drawn at random; none takes all."""
    image_size: Annotated[int, Field(ge=4)] | None = None
    """Scale every image to so many pixels a side; none leaves them as they are."""

    def build_partition(self) -> Any:
        """The partition that `partition` names, with its settings."""
        return self.component("partition")

    @cached_property
    def packages(self) -> tuple[str, ...]:
        """See `Section.packages`; a set's images tell their own version, so this is for the record alone."""
        sets = {DATASETS.package_of(name) for name in (self.name, self.auxiliary) if name}
        return tuple(sorted({*super().packages, *sets} - {""}))


class ModelConfig(Section):
    """The classifier that the federation trains."""

    selectors: ClassVar = {"name": MODELS}

    name: str = "convnet"
    """The architecture."""

    def build(self) -> Any:
        """The architecture that `name` names, with its settings: called with shape and classes, it makes a network."""
        return self.component("name")


class FederationConfig(Section):
    """How the classifier is trained (IGF, section 4.1)."""

    selectors: ClassVar = {"aggregation": AGGREGATIONS}

    clients: PositiveInt = 40
    """How many clients hold the data."""
    fraction: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The share of clients that train in a round; at least one does."""
    rounds: PositiveInt = 20
    """Rounds of training."""
    local_epochs: PositiveInt = 1
    """Passes over a client's images in a round."""
    batch_size: PositiveInt = 32
    """Images in a local step."""
    learning_rate: PositiveFloat = 0.05
    """Step size of local SGD."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum of local SGD; it starts at zero in every round."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Weight decay of local SGD."""
    aggregation: str = "fedavg"
    """How the server combines what the clients send."""
    minimum_replies: PositiveInt = 1
    """A round that fewer clients answer is tried again, then refused."""
    attempts: PositiveInt = 3
    """How often a round is tried before the run ends with an error."""
    engine: Literal["in-process", "flower-simulation"] = "in-process"
    """What runs the clients: in-process, or flower-simulation (Flower on Ray; needs the extra `flower`)."""

    def build_aggregation(self) -> Any:
        """The aggregation that `aggregation` names, with its settings."""
        return self.component("aggregation")


class UnlearningConfig(Section):
    """What is forgotten, and how (IGF, section 3.1)."""

    selectors: ClassVar = {"method": METHODS}

    scenario: Literal["sample", "class", "client"] = "sample"
    """Forget single samples, all samples of some classes, or all samples of some clients."""
    count: PositiveInt | None = None
    """Sample level: how many samples are forgotten."""
    fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Sample level: the share of the chosen clients' samples that is forgotten."""
    indices: tuple[NonNegativeInt, ...] | None = None
    """Sample level: exactly these samples, as rows of the training set."""
    classes: tuple[NonNegativeInt, ...] = (1,)
    """Class level: the classes removed at every client (the paper: 1)."""
    clients: tuple[NonNegativeInt, ...] | None = None
    """Client level: the clients that leave (none: client 2, the paper's third). Sample level: whose samples are drawn
    (none: everybody's)."""
    method: str = "retrain"
    """How the model is made to forget."""
    ensure_participation: bool = True
    """Put every unlearning client into at least one round, in place of a client that was drawn."""
    fresh_seed: bool = False
    """Retrain from another initialization and sampling stream, so that a difference also holds the seeds' noise."""

    def build(self) -> Any:
        """The unlearning method that `method` names, with its settings."""
        return self.component("method")

    def by(self, method: str, *, fresh_seed: bool = False) -> "UnlearningConfig":
        """The same request, answered by another method with its defaults."""
        asked = self.model_dump(include=set(UnlearningConfig.model_fields))
        return UnlearningConfig.model_validate({**asked, "method": method, "fresh_seed": fresh_seed})


class EngineConfig(Section):
    """Who computes the answers to the auditor's questions."""

    engine: Literal["in-process", "ray"] = "in-process"
    """What computes the two models' gradients: this process, or Ray's workers, a share of the questions each (needs the
    extra `flower`)."""


class VerificationConfig(Section):
    """What the auditor accepts (IGF, section 3.1)."""

    tau: PositiveFloat | Literal["calibrated"] = "calibrated"
    """The largest norm that a proof may have; calibrated takes it from samples that were never trained on."""
    quantile: Annotated[float, Field(gt=0, le=1)] = 0.99
    """Calibration: the share of held-out samples whose difference must pass."""


class DefenseConfig(Section):
    """What a client does to its proofs before they leave; a list of these is applied in order."""

    selectors: ClassVar = {"name": DEFENSES}

    name: str
    """The defense."""

    def build(self) -> Any:
        """The defense that `name` names, with its settings."""
        return self.component("name")


def listed_defenses(value: Any) -> list[Any]:
    """Defenses as a list, each with its settings; a name alone takes the defaults, and a single one needs no list.

    Raises:
        ValueError: Something is neither a name nor a mapping.
    """
    several = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(one, str | Mapping | DefenseConfig) for one in several):
        raise ValueError("give a defense's name, or a list such as '[{name: prune, ratio: 0.9}, sign]'.")
    return [{"name": one} if isinstance(one, str) else one for one in several]


Defenses = Annotated[tuple[DefenseConfig, ...], BeforeValidator(listed_defenses)]


class ObservationConfig(Section):
    """What a server sees of the unlearning clients, for the attacks from the server (DRAGD, threat model)."""

    retained: PositiveInt = 4
    """Samples of a batch that stay."""
    forgotten: PositiveInt = 1
    """Samples of a batch that are unlearned; it divides the number that each client forgets."""
    local_steps: PositiveInt = 1
    """Full-batch steps that a client takes: for one the server sees its gradient, for more its update."""
    learning_rate: PositiveFloat = 0.1
    """Their size; without effect for a single step."""


class AttackConfig(Section):
    """Who attacks, and how."""

    selectors: ClassVar = {"name": ATTACKS}

    name: str = "igf"
    """The attack."""

    def build(self) -> Any:
        """The attack that `name` names, with its settings."""
        return self.component("name")


class ScoringConfig(Section):
    """How reconstructions are compared with the originals."""

    lpips_network: Literal["alex", "squeeze", "vgg"] = "alex"
    """The network whose features LPIPS compares."""
    bootstrap: PositiveInt = 1000
    """Resamples behind each 95 % interval."""
    metrics: tuple[str, ...] = ()
    """Further metrics by name, such as mae, or those of installed packages; MSE, PSNR, SSIM and LPIPS are always
    measured."""

    @field_validator("metrics")
    @classmethod
    def _metrics_are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for name in names:
                METRICS.get(name)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        if len(set(names)) < len(names):
            raise ValueError("a metric is named twice: name each once.")
        return names

    @cached_property
    def packages(self) -> tuple[str, ...]:
        """See `Section.packages`."""
        return tuple(sorted({METRICS.package_of(name) for name in self.metrics} - {""}))
