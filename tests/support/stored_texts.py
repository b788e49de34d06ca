"""Digests of configurations as text, which identify run folders and finished stages. Run this file to update them."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from palimpsest.config import AuditConfig, build_config, preset_names, read_config
from palimpsest.registry import AGGREGATIONS, ATTACKS, DEFENSES, METHODS, MODELS, PARTITIONS

STORED = Path(__file__).parents[1] / "config" / "stored_texts.json"
_SELECTORS = (
    ("attack", "name", ATTACKS),
    ("unlearning", "method", METHODS),
    ("federation", "aggregation", AGGREGATIONS),
    ("data", "partition", PARTITIONS),
    ("model", "name", MODELS),
)
_OTHER_ORDER = {
    "attack": {"width": 32, "epochs": 3, "name": "igf-plus"},
    "defenses": [{"ratio": 0.5, "name": "prune"}],
    "federation": {"proximal_mu": 0.5, "rounds": 3, "aggregation": "fedprox"},
    "data": {"alpha": 0.7, "partition": "dirichlet"},
}


def configurations() -> Iterator[tuple[str, AuditConfig]]:
    """Yield every preset, the defaults of every component, and settings in another order."""
    yield from ((name, read_config(name)) for name in preset_names())
    for section, key, registry in _SELECTORS:
        yield from ((f"{section}.{name}", build_config({section: {key: name}})) for name in registry.names())
    for name in DEFENSES.names():
        yield f"defense.{name}", build_config({"defenses": [name, {"name": "sign"}]})
    yield "default", AuditConfig()
    yield "other order", build_config(_OTHER_ORDER)


def digests() -> dict[str, list[str]]:
    """Return two digests of each configuration: of its JSON, which identifies stages, and of its YAML."""
    texts = {name: (config.model_dump_json(), config.to_yaml()) for name, config in configurations()}
    return {name: [sha256(text.encode()).hexdigest()[:8] for text in both] for name, both in texts.items()}


if __name__ == "__main__":
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(both)}" for name, both in digests().items())
    STORED.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
