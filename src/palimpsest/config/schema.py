"""The configuration of an audit, and the base class and protocols of all configurations."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from palimpsest.config.audit_sections import (
    AttackConfig,
    DataConfig,
    DefenseConfig,
    Defenses,
    EngineConfig,
    FederationConfig,
    MembershipConfig,
    ModelConfig,
    ObservationConfig,
    ScoringConfig,
    UnlearningConfig,
)
from palimpsest.config.imports import load_imports
from palimpsest.config.proof_sections import ProofsConfig, VerificationConfig
from palimpsest.config.section import NonNegativeInt, Section
from palimpsest.system.memory import Bytes


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _restored(kind: type["RunConfig"], tree: Mapping[str, Any]) -> "RunConfig":
    load_imports(tree)
    return kind.model_validate(tree)


class RunConfig(BaseModel):
    """Base class of the configurations that a run folder can hold; it contains everything that decides the results."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    imports: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(), exclude_if=lambda names: not names
    )
    """Modules to import first, which register components. For example, my_attack is the file my_attack.py in the
    working directory."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by value, so that another process imports the modules first."""
        return _restored, (type(self), self.model_dump())

    def to_yaml(self) -> str:
        """Return the configuration as YAML; `read_config` turns it back into an equal value."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    @property
    def packages(self) -> dict[str, str]:
        """Versions of the third-party packages whose components are used, by package."""
        values = [getattr(self, name) for name in type(self).model_fields]
        parts = [part for value in values for part in (value if isinstance(value, tuple) else [value])]
        named = {package for part in parts if isinstance(part, Section) for package in part.packages}
        return dict(package.rsplit(" ", 1) for package in sorted(named))


class DefendingConfig(Protocol):
    """The part of a configuration that defending the proofs needs."""

    @property
    def defenses(self) -> Sequence[DefenseConfig]:
        """Defenses that clients apply to their proofs, in order."""
        ...

    @property
    def seed(self) -> int:
        """Seed of all random numbers."""
        ...


class AttackingConfig(DefendingConfig, Protocol):
    """The part of a configuration that attacking and scoring need."""

    @property
    def attack(self) -> AttackConfig:
        """The attack and its settings."""
        ...

    @property
    def scoring(self) -> ScoringConfig:
        """Comparison of the reconstructions with the originals."""
        ...


class ObservingConfig(AttackingConfig, Protocol):
    """The part of a configuration that an attack by the server needs."""

    @property
    def observation(self) -> ObservationConfig:
        """The batches that the server observes."""
        ...


class AuditConfig(RunConfig):
    """The configuration of an audit; each section documents its keys.

    Build one with `read_config` or `build_config`, or call the class.

    Example:
        >>> config = AuditConfig(seed=5)
        >>> config.attack.name, config.federation.rounds
        ('strongest', 20)
    """

    description: str = ""
    """Description of the preset, printed by `palimpsest presets`."""
    paper: str = ""
    """Table and row of the paper that the preset follows."""
    data: DataConfig = Field(default_factory=DataConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    federation: FederationConfig = Field(default_factory=FederationConfig)
    unlearning: UnlearningConfig = Field(default_factory=lambda: UnlearningConfig(fraction=0.1))
    proofs: ProofsConfig = Field(
        # Configurations with a proof for each sample keep the text that identifies their runs.
        default_factory=ProofsConfig,
        exclude_if=lambda section: section == ProofsConfig(),
    )
    defenses: Defenses = ()
    """Defenses that clients apply to their proofs, in order. A name such as sign, or a list such as
    '[{name: prune, ratio: 0.9}, sign]', which is YAML on the command line."""
    verification: VerificationConfig = Field(default_factory=VerificationConfig)
    oracle: EngineConfig = Field(default_factory=EngineConfig)
    observation: ObservationConfig = Field(default_factory=ObservationConfig)
    attack: AttackConfig = Field(default_factory=AttackConfig)
    scoring: ScoringConfig = Field(default_factory=ScoringConfig)
    membership: MembershipConfig = Field(
        # Configurations without shadow federations keep the text that identifies their runs.
        default_factory=MembershipConfig,
        exclude_if=lambda section: section == MembershipConfig(),
    )
    seed: NonNegativeInt = 1234
    """Seed of all random numbers; the paper uses 1234."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to compute on; auto uses a GPU if there is one."""
    memory_budget: Bytes = 4 * 2**30
    """Memory limit of a stage, such as 500MB; by default 4GiB. Chunk sizes follow from it."""
