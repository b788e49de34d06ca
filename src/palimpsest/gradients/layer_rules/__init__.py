"""Gradient rules by layer type, one module for each type. Importing the package registers all rules."""

from importlib import import_module
from pkgutil import iter_modules

from palimpsest.gradients.layer_rules.registry import (
    BatchedRule,
    Decomposition,
    FactoredPartRule,
    FactoredRule,
    PartRule,
    PerSampleRule,
    Record,
    find_batched_rule,
    find_decomposition,
    find_factored_rule,
    find_per_sample_rule,
    register_batched_rule,
    register_decomposition,
    register_factored_rule,
    register_per_sample_rule,
)

__all__ = [
    "BatchedRule",
    "Decomposition",
    "FactoredPartRule",
    "FactoredRule",
    "PartRule",
    "PerSampleRule",
    "Record",
    "find_batched_rule",
    "find_decomposition",
    "find_factored_rule",
    "find_per_sample_rule",
    "register_batched_rule",
    "register_decomposition",
    "register_factored_rule",
    "register_per_sample_rule",
]

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)
