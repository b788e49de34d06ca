"""Palimpsest measures how much of the data that a federation has unlearned can still be read.

The commands are functions: `audit`, `attack`, `prove`, `defend`, `verify`, `doctor`, `report`, `export`, `compare`,
`runs`, `sweep`, `reproduce`, `purge`, `components`, `init`. Their results display in notebooks and convert to pandas.
The other names are the building blocks of these functions.

The names in `__all__` are public, and so are the names of submodules that docs/reference/python.md lists. They change
only with an entry in CHANGELOG.md, and from version 1.0 on only with a new major version. A name is imported when it is
first used, so that `import palimpsest` is fast.
"""

from typing import TYPE_CHECKING

from palimpsest.system.lazy_package import import_on_first_use
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
import_on_first_use(__name__, _NAMES)
