"""What an audit does, as frozen and validated values; a preset, a YAML file and the command line all build one."""

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
    ModelConfig,
    ObservationConfig,
    ScoringConfig,
    UnlearningConfig,
    VerificationConfig,
)
from palimpsest.config.imports import load_imports
from palimpsest.config.section import NonNegativeInt, Section
from palimpsest.system.memory import Bytes


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _restored(kind: type["RunConfig"], tree: Mapping[str, Any]) -> "RunConfig":
    load_imports(tree)
    return kind.model_validate(tree)


class RunConfig(BaseModel):
    """Base of what a run folder can hold: all that decides a run's results."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    imports: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(), exclude_if=lambda names: not names
    )
    """Modules to import first, which register components: my_attack for the file my_attack.py in the working
    directory."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by value: another process imports the modules first."""
        return _restored, (type(self), self.model_dump())

    def to_yaml(self) -> str:
        """The configuration as YAML that reads back to an equal value."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    @property
    def packages(self) -> dict[str, str]:
        """The versions of third parties' packages whose components are named, by package."""
        values = [getattr(self, name) for name in type(self).model_fields]
        parts = [part for value in values for part in (value if isinstance(value, tuple) else [value])]
        named = {one for part in parts if isinstance(part, Section) for one in part.packages}
        return dict(one.rsplit(" ", 1) for one in sorted(named))


class DefendingConfig(Protocol):
    """What the clients' side of a run needs to know."""

    @property
    def defenses(self) -> Sequence[DefenseConfig]:
        """What clients do to their proofs, in order."""
        ...

    @property
    def seed(self) -> int:
        """Everything random follows from it."""
        ...


class AttackingConfig(DefendingConfig, Protocol):
    """What the auditor's side of a run needs to know, whoever trained the models."""

    @property
    def attack(self) -> AttackConfig:
        """Who attacks, and how."""
        ...

    @property
    def scoring(self) -> ScoringConfig:
        """How reconstructions are compared with the originals."""
        ...


class ObservingConfig(AttackingConfig, Protocol):
    """What the server's side of a run needs to know besides."""

    @property
    def observation(self) -> ObservationConfig:
        """The batches that the server sees."""
        ...


class AuditConfig(RunConfig):
    """A whole audit; see the sections for what each key means."""

    description: str = ""
    """What the preset stands for; printed by `palimpsest presets`."""
    paper: str = ""
    """The paper's table and row that the preset follows."""
    data: DataConfig = Field(default_factory=DataConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    federation: FederationConfig = Field(default_factory=FederationConfig)
    unlearning: UnlearningConfig = Field(default_factory=lambda: UnlearningConfig(fraction=0.1))
    defenses: Defenses = ()
    """What clients do to their proofs, in order: a name such as sign, or on the command line as YAML a list such as
    '[{name: prune, ratio: 0.9}, sign]'."""
    verification: VerificationConfig = Field(default_factory=VerificationConfig)
    oracle: EngineConfig = Field(default_factory=EngineConfig)
    observation: ObservationConfig = Field(default_factory=ObservationConfig)
    attack: AttackConfig = Field(default_factory=AttackConfig)
    scoring: ScoringConfig = Field(default_factory=ScoringConfig)
    seed: NonNegativeInt = 1234
    """Everything random follows from it (the paper: 1234)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where tensors are computed; auto takes a GPU if there is one."""
    memory_budget: Bytes = 4 * 2**30
    """What a stage may hold at once, such as 500MB or 4GiB (the default); chunk sizes follow from it."""
