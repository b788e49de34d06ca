"""`palimpsest presets`."""

from rich.console import Console
from rich.table import Table

from palimpsest.cli.options import Json
from palimpsest.cli.output import print_json
from palimpsest.config import preset_names, read_config


def presets(*, machine: Json = False) -> None:
    """List the presets: a line each, with the paper's table and row."""
    configs = {name: read_config(name) for name in preset_names()}
    if machine:
        told = (
            {"name": name, "description": one.description, "paper": one.paper}
            for name, one in configs.items()
        )
        return print_json(presets=list(told))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("preset", "what it is", "paper"):
        table.add_column(title, overflow="fold", no_wrap=title == "preset")
    for name, config in configs.items():
        table.add_row(name, config.description, config.paper)
    return Console().print(table)
