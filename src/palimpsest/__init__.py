"""Palimpsest measures how much of the data that a federation has unlearned can still be read.

The commands are functions: `audit`, `attack`, `prove`, `defend`, `verify`, `doctor`, `report`, `export`, `compare`,
`runs`, `sweep`, `reproduce`, `purge`, `components`, `init`. Their results display in notebooks and convert to pandas.
The other names are the building blocks of these functions.

The names in `__all__` are public, and so are the names of submodules that docs/reference/python.md lists. They change
only with an entry in CHANGELOG.md, and from version 1.0 on only with a new major version. A name is imported when it is
first used, so that `import palimpsest` is fast.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from palimpsest.system.telemetry import switch_off

switch_off()  # Environment variables must be set before the libraries that read them are imported.

if TYPE_CHECKING:
    from palimpsest.api.attack import attack, doctor
    from palimpsest.api.audit import audit, reproduce, sweep
    from palimpsest.api.components import ListedComponent, components
    from palimpsest.api.examination import Examination
    from palimpsest.api.export import export
    from palimpsest.api.init import init
    from palimpsest.api.proofs import defend, prove
    from palimpsest.api.reports import compare, report, runs
    from palimpsest.api.reproduction import Reproduction
    from palimpsest.api.verification import verify
    from palimpsest.artifacts.config import ArtifactsConfig, read_artifacts_config
    from palimpsest.comparison.comparison import Comparison
    from palimpsest.config import AuditConfig, build_config, preset_names, read_config
    from palimpsest.datasets import ImageSet, load_images
    from palimpsest.errors import PalimpsestError
    from palimpsest.gradients import gradient_differences, per_sample_gradients
    from palimpsest.pipeline.results.result import AuditResult
    from palimpsest.proofs import Proofs, Verdicts, load_proofs, save_proofs
    from palimpsest.reduction import Projection, fit_projection
    from palimpsest.registry import (
        AGGREGATIONS,
        ATTACKS,
        DATASETS,
        DEFENSES,
        METHODS,
        METRICS,
        MODELS,
        PARTITIONS,
        VERIFIERS,
        Component,
    )
    from palimpsest.runs import Purge, purge

__all__ = [
    "AGGREGATIONS",
    "ATTACKS",
    "DATASETS",
    "DEFENSES",
    "METHODS",
    "METRICS",
    "MODELS",
    "PARTITIONS",
    "VERIFIERS",
    "ArtifactsConfig",
    "AuditConfig",
    "AuditResult",
    "Comparison",
    "Component",
    "Examination",
    "ImageSet",
    "ListedComponent",
    "PalimpsestError",
    "Projection",
    "Proofs",
    "Purge",
    "Reproduction",
    "Verdicts",
    "attack",
    "audit",
    "build_config",
    "compare",
    "components",
    "defend",
    "doctor",
    "export",
    "fit_projection",
    "gradient_differences",
    "init",
    "load_images",
    "load_proofs",
    "per_sample_gradients",
    "preset_names",
    "prove",
    "purge",
    "read_artifacts_config",
    "read_config",
    "report",
    "reproduce",
    "runs",
    "save_proofs",
    "sweep",
    "verify",
]

_NAMES = {
    "palimpsest.api.attack": ("attack", "doctor"),
    "palimpsest.api.components": ("ListedComponent", "components"),
    "palimpsest.api.examination": ("Examination",),
    "palimpsest.api.export": ("export",),
    "palimpsest.api.init": ("init",),
    "palimpsest.api.reports": ("compare", "report", "runs"),
    "palimpsest.api.audit": ("audit", "reproduce", "sweep"),
    "palimpsest.api.proofs": ("defend", "prove"),
    "palimpsest.api.verification": ("verify",),
    "palimpsest.api.reproduction": ("Reproduction",),
    "palimpsest.pipeline.results.result": ("AuditResult",),
    "palimpsest.artifacts.config": ("ArtifactsConfig", "read_artifacts_config"),
    "palimpsest.comparison.comparison": ("Comparison",),
    "palimpsest.config.schema": ("AuditConfig",),
    "palimpsest.datasets": ("ImageSet", "load_images"),
    "palimpsest.errors": ("PalimpsestError",),
    "palimpsest.gradients": ("gradient_differences", "per_sample_gradients"),
    "palimpsest.proofs": ("Proofs", "Verdicts", "load_proofs", "save_proofs"),
    "palimpsest.reduction": ("Projection", "fit_projection"),
    "palimpsest.runs.purge": ("Purge", "purge"),
    "palimpsest.config.load": ("build_config", "preset_names", "read_config"),
    "palimpsest.registry": (
        "AGGREGATIONS",
        "ATTACKS",
        "DATASETS",
        "DEFENSES",
        "METHODS",
        "METRICS",
        "MODELS",
        "PARTITIONS",
        "VERIFIERS",
        "Component",
    ),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


class _Contents(ModuleType):
    """The package's module, which imports a public name when it is first used."""

    def __getattr__(self, name: str) -> Any:
        """Import a public name and keep it as an attribute."""
        if name not in _MODULES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_MODULES[name]), name)
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, unless it is a submodule with the name of a public function."""
        # Importing the package palimpsest.report would otherwise replace the function palimpsest.report.
        if not (name in _MODULES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        """List the module's attributes and all public names."""
        return sorted({*super().__dir__(), *_MODULES})


sys.modules[__name__].__class__ = _Contents
