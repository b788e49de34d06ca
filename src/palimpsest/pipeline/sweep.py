"""Grids of audits: one audit for each combination of values, each in its own folder."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from palimpsest.config import AuditConfig, merged, read_config, read_mapping
from palimpsest.errors import ConfigurationError, PalimpsestError, ReproductionError
from palimpsest.pipeline.audit import audit
from palimpsest.pipeline.stages.preflight import check_requirements
from palimpsest.registry import METHODS
from palimpsest.system.ray_cluster import connect

Engine = Literal["in-process", "ray"]
_LONGEST_NAME, _MOST_POINTS = 80, 1000


@dataclass(frozen=True)
class Point:
    """One combination of the grid.

    Args:
        name: Name of its run folder.
        config: Configuration of its audit.
    """

    name: str
    config: AuditConfig


def read_grid(
    preset: str, grid: Path | Mapping[str, Sequence[Any]], overrides: Mapping[str, Any] | None = None
) -> list[Point]:
    """Build the configuration of every combination of a grid's values.

    Args:
        preset: The base configuration of every point: a preset's name or the path of a YAML file.
        grid: Lists of values by dotted key, such as `attack.epochs: [5, 10]`, or a YAML file of them.
        overrides: Nested keys that override those of the preset in every point.

    Returns:
        The points in the order of the values, with the last key varying fastest.

    Raises:
        ConfigurationError: A value is not a list, there are more than 1,000 combinations, a combination is not
            accepted, or two combinations would share a folder; the message names it.
    """
    axes, where = (read_mapping(grid), str(grid)) if isinstance(grid, Path) else (grid, "the grid")
    for key, values in axes.items():
        if not isinstance(values, Sequence) or isinstance(values, str | bytes) or not values:
            shown = repr(values)[:_LONGEST_NAME]
            raise ConfigurationError(
                f"{str(key)[:_LONGEST_NAME]} is {shown} in {where}. Give a list of at least one value."
            )
    count = math.prod(map(len, axes.values()))
    if count > _MOST_POINTS:
        raise ConfigurationError(
            f"There are {count:,} combinations in {where}. The limit is {_MOST_POINTS:,}: give fewer values."
        )
    points: list[Point] = []
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(map(str, axes), values, strict=True))
        tree: dict[str, Any] = dict(overrides or {})
        for key, value in chosen.items():
            tree = merged(tree, {key: value})
        points.append(Point(_name(chosen), read_config(preset, tree)))
    repeated = [name for name, times in Counter(point.name for point in points).items() if times > 1]
    if repeated:
        raise ConfigurationError(
            f"In {where}, two combinations have the name {repeated[0]!r} and would share a folder. Give each value "
            "once."
        )
    return points


def sweep(
    points: Sequence[Point],
    *,
    out: Path,
    data_dir: Path | None = None,
    engine: Engine = "in-process",
    console: Console | None = None,
) -> list[Path]:
    """Run the audits of a grid. Finished audits are not run again.

    Args:
        points: The points of the grid; see `read_grid`.
        out: The folder in which each point gets its run folder. In-process audits reuse each other's stages that have
            the same inputs.
        data_dir: A folder that mirrors the published data sets.
        engine: `in-process` runs one audit after the other, `ray` as many at a time as Ray has processors.
        console: The console on which each audit prints its lines; nothing is printed on Ray, or if omitted.

    Returns:
        The run folders, in the order of the points.

    Raises:
        ReproductionError: At least one audit failed. The others have been run.
        PalimpsestError: Before the first audit: a package, the weights, the device or the data folder is missing.
    """
    # One audit's missing requirement must not be found after the audits before it.
    for point in points:
        check_requirements(point.config, data_dir=data_dir)
    output = console or Console(quiet=True)
    folders = [out / point.name for point in points]
    if engine == "ray":
        failures = _on_ray(points, folders, data_dir)
    else:
        failures = {}
        for index, (point, folder) in enumerate(zip(points, folders, strict=True)):
            output.print(f"[bold]{point.name}[/bold]", highlight=False)
            siblings = (
                folders[:index] if not METHODS.get(point.config.unlearning.method).needs_history else ()
            )
            try:
                audit(
                    point.config,
                    out=folder,
                    data_dir=data_dir,
                    replace=True,
                    siblings=siblings,
                    console=console,
                )
            except PalimpsestError as error:
                failures[point.name] = str(error)
                output.print(f"  {error}", highlight=False, markup=False)
    if failures:
        name, reason = next(iter(failures.items()))
        raise ReproductionError(
            f"{len(failures)} of {len(points)} audits could not be run. The first is {name}: {reason}"
        )
    return folders


def _on_ray(points: Sequence[Point], folders: Sequence[Path], data_dir: Path | None) -> dict[str, str]:
    ray, end = connect("--engine ray")

    @ray.remote(num_cpus=1, max_retries=0)
    def run(config: AuditConfig, folder: str) -> str:
        try:
            audit(config, out=Path(folder), data_dir=data_dir, replace=True)
        except PalimpsestError as error:
            return str(error)
        return ""

    try:
        tasks = [
            run.remote(point.config, str(folder.resolve()))
            for point, folder in zip(points, folders, strict=True)
        ]
        results = zip(points, ray.get(tasks), strict=True)
        return {point.name: failure for point, failure in results if failure}
    finally:
        end()


def _name(chosen: Mapping[str, Any]) -> str:
    """A readable folder name; a long one is cut and ends in a hash."""
    text = "_".join(f"{key.rpartition('.')[2]}-{_plain(value)}" for key, value in chosen.items()) or "preset"
    if len(text) <= _LONGEST_NAME:
        return text
    return f"{text[:_LONGEST_NAME]}-{sha256(text.encode()).hexdigest()[:8]}"


def _plain(value: Any) -> str:
    return "".join(_characters(value))


def _characters(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = " ".join(map(str, value.values()))
    elif isinstance(value, list):
        value = "+".join(_plain(item) for item in value) or "none"
    for character in str(value):
        yield character if character.isalnum() or character in ".+-" else "-"
