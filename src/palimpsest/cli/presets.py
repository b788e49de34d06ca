"""`palimpsest presets`."""

from rich.console import Console
from rich.table import Table

from palimpsest.config import preset_names, read_config


def presets() -> None:
    """List the presets: a line each, with the paper's table and row."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("preset", "what it is", "paper"):
        table.add_column(title, overflow="fold", no_wrap=title == "preset")
    for name in preset_names():
        config = read_config(name)
        table.add_row(name, config.description, config.paper)
    Console().print(table)
