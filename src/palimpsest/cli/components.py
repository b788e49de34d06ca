"""`palimpsest components`."""

from dataclasses import asdict
from itertools import groupby

from rich.console import Console

from palimpsest.api.components import Kind
from palimpsest.api.components import components as list_components
from palimpsest.cli.options import Debug, Import, Json
from palimpsest.cli.output import print_json
from palimpsest.config import load_imports
from palimpsest.display import escape_control_characters


def components(
    kind: Kind | None = None, *, modules: Import = None, machine: Json = False, debug: Debug = False
) -> None:
    """List attacks, defenses, unlearning methods, models, data sets and all other components, with one line each.

    The names are those that flags such as --attack.name and configurations take. `palimpsest audit --attack.name igf
    --help` shows the settings of a component.

    Parameters
    ----------
    kind
        List only components of this kind. By default, all are listed.
    """
    load_imports({"imports": modules})
    listed = list_components(kind)
    if machine:
        return print_json(components=[asdict(component) for component in listed])
    console = Console(soft_wrap=True)
    width = max(len(component.name) for component in listed)
    for title, group in groupby(listed, key=lambda component: component.kind):
        if kind is None:
            console.print(title, style="bold", highlight=False)
        for component in group:
            origin = f" ({component.package})" if component.package else ""
            line = f"  {component.name:<{width}}  {component.summary}{origin}"
            console.print(escape_control_characters(line), highlight=False, markup=False)
    return None
