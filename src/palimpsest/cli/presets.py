"""`palimpsest presets`."""

from rich.console import Console

from palimpsest.cli.options import Json
from palimpsest.cli.output import print_json
from palimpsest.config import preset_names, read_config


def presets(*, machine: Json = False) -> None:
    """List the presets: what each is, and the paper's table and row."""
    configs = {name: read_config(name) for name in preset_names()}
    if machine:
        told = (
            {"name": name, "description": one.description, "paper": one.paper}
            for name, one in configs.items()
        )
        return print_json(presets=list(told))
    console = Console(soft_wrap=True)
    # A name has a line of its own: a table of three columns breaks every one of them on a narrow terminal.
    for name, config in configs.items():
        console.print(
            f"[bold]{name}[/bold]\n  {config.description} [dim]{config.paper}[/dim]", highlight=False
        )
    return None
