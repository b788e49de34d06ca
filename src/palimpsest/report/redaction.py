"""Removal of everything from a page that names a sample, a person, a file or a machine."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from palimpsest.metrics import Metrics
from palimpsest.report.inputs import ReportInput

LEFT_OUT = "left out"
"""Stands for a text that may name a file, a machine or a person."""

_ENDS = r"""\s"'`(),;<>"""
_LOCATION = re.compile(
    rf"""
    [a-z][a-z0-9+.-]*://[^{_ENDS}]+         # an address, which names a host
    | (?:[A-Za-z]:)?(?:~|\.{{1,2}})?[/\\][^{_ENDS}]+   # a path from a root, or from ~, . or ..
    | [^{_ENDS}]+[/\\][^{_ENDS}]*           # a relative path
    | \b[\w.+-]+\.(?:safetensors|pt|pth|csv|parquet|ya?ml|txt|npy|json|html|bin|ckpt)\b  # a file name
    """,
    re.VERBOSE,
)
_FREE_TEXTS = frozenset({"description", "paper"})


def redacted(page: ReportInput) -> ReportInput:
    """Return a page without images, rows about single samples, paths, addresses, file names and free texts.

    Args:
        page: The contents of the page.

    Returns:
        The page without reconstructions, forgotten samples and `cells`. It keeps the scores, from which only summaries
        may be shown.
    """
    config = _without_names(page.config)
    unlearning = config.get("unlearning") or {}
    if unlearning.get("indices"):
        # The list of forgotten rows reveals who was forgotten.
        hidden = f"{len(unlearning['indices'])} indices, left out"
        config = {**config, "unlearning": {**unlearning, "indices": hidden}}
    return replace(
        page,
        title=without_locations(page.title),
        command=f"palimpsest {'audit' if unlearning else 'attack'} config.yaml",
        facts=[(name, without_locations(value)) for name, value in page.facts],
        config=config,
        config_yaml=yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
        metrics=redacted_metrics(page.metrics),
        knowledge=[without_locations(item) for item in page.knowledge],
        notes=[without_locations(note) for note in page.notes],
        absent={name: without_locations(why) for name, why in page.absent.items()},
        class_names=[without_locations(name) for name in page.class_names],
        cells=(),
        truth_cells=(),
        cell_rows=(),
    )


def redacted_metrics(metrics: Metrics) -> Metrics:
    """Return metrics whose texts have no paths, addresses and file names.

    Args:
        metrics: The metrics of a run.
    """
    return Metrics.model_validate(_scrubbed(metrics.model_dump()))


def without_locations(text: str) -> str:
    """Replace every path, address and file name in a text.

    Args:
        text: A sentence of the page.
    """
    return _LOCATION.sub(_hidden, text)


def _hidden(match: re.Match[str]) -> str:
    found = match.group()
    # A sentence's full stop is no part of the path before it.
    return f"[{LEFT_OUT}]" + (found[-1] if found[-1] in ".:" else "")


def _without_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration in which every text that names a location or is written freely is left out."""
    return {
        key: LEFT_OUT if key in _FREE_TEXTS and value else _scrubbed(value) for key, value in config.items()
    }


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return without_locations(value)
    if isinstance(value, Mapping):
        return {key: _scrubbed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(item) for item in value]
    return value
