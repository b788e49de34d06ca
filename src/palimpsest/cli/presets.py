"""`palimpsest presets`."""

from rich.console import Console

from palimpsest.cli.options import Json
from palimpsest.cli.output import print_json
from palimpsest.config import preset_names, read_config


def presets(*, machine: Json = False) -> None:
    """List the presets with their descriptions and the paper's table and row."""
    configs = {name: read_config(name) for name in preset_names()}
    if machine:
        listed = [
            {"name": name, "description": config.description, "paper": config.paper}
            for name, config in configs.items()
        ]
        return print_json(presets=listed)
    console = Console(soft_wrap=True)
    # On a narrow terminal, a table of three columns would break the lines of each column.
    for name, config in configs.items():
        console.print(
            f"[bold]{name}[/bold]\n  {config.description} [dim]{config.paper}[/dim]", highlight=False
        )
    return None
