"""Matplotlib's figures, ticks and settings, imported at the first plot, because the import takes half a second."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator


def new_figure(width: float, height: float) -> "Figure":
    """Make an empty figure whose parts do not overlap.

    Args:
        width: Width in inches.
        height: Height in inches.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def lay_out(figure: "Figure") -> None:
    """Place the parts of a finished figure. Otherwise saving it draws it twice, once to place them.

    Args:
        figure: A figure of `new_figure`.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


def whole_numbers(*, min_n_ticks: int = 2) -> "MaxNLocator":
    """Make ticks at whole numbers only.

    Args:
        min_n_ticks: Fewest ticks on the axis.
    """
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True, min_n_ticks=min_n_ticks)


def drawing_settings(settings: Mapping[Any, Any]) -> AbstractContextManager[None]:
    """Change Matplotlib's settings within a `with` block.

    Args:
        settings: Values by their names in Matplotlib's `rcParams`.
    """
    from matplotlib import rc_context

    return rc_context({**settings})
