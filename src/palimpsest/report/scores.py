"""The scores of a reconstruction: labels, meanings and formatting."""

import math
from collections.abc import Callable
from dataclasses import dataclass

INTERVAL = "95\N{NO-BREAK SPACE}% interval"


@dataclass(frozen=True)
class Score:
    """The presentation of a score.

    Args:
        label: Its name in tables and plots.
        meaning: What it measures, in a few words.
        better: Which values mean a closer reconstruction: `low` or `high`.
        share: Whether values are written as percentages.
        unit: Its unit; empty for a number without one.
    """

    label: str
    meaning: str
    better: str
    share: bool = False
    unit: str = ""


SCORES = {
    "mse": Score("MSE", "mean squared error of pixels in [0, 1]; 0 is identical", "low"),
    "psnr": Score("PSNR", "peak signal-to-noise ratio, averaged over images", "high", unit="dB"),
    "psnr_of_mean_mse": Score(
        "PSNR of mean MSE", "PSNR computed from the mean MSE; the literature uses both", "high", unit="dB"
    ),
    "ssim": Score("SSIM", "structural similarity; 1 is identical", "high"),
    "lpips": Score("LPIPS", "learned perceptual distance; 0 is identical", "low"),
    "identification_top1": Score(
        "Identified (top-1)",
        "share of reconstructions that are closer to their own original than to any other forgotten image",
        "high",
        share=True,
    ),
    "identification_top5": Score(
        "Identified (top-5)",
        "share of reconstructions whose original is among the five closest forgotten images",
        "high",
        share=True,
    ),
}
"""Scores of a whole attack, in the order of the table."""

PER_IMAGE = {
    **{name: SCORES[name] for name in ("lpips", "mse", "psnr", "ssim")},
    "token_accuracy": Score(
        "Token accuracy", "share of positions with the correct token", "high", share=True
    ),
    "rank": Score(
        "Rank", "rank of the original among all forgotten images by distance; 1 is the closest", "low"
    ),
}
"""Scores of one sample. The first of them that was computed ranks samples from the most to the least exposed."""


def count(value: float) -> str:
    """Format a whole number with thousands separators: `1,000`."""
    return f"{round(value):,}"


def number(value: float | None) -> str:
    """Format a number with up to four significant digits; None and non-finite numbers become a dash."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def percent(value: float | None) -> str:
    """Format a share in [0, 1] as a percentage with one decimal; None and non-finite numbers become a dash."""
    return "–" if value is None or not math.isfinite(value) else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def bounded(
    value: float | None,
    interval: tuple[float, float] | None,
    write: Callable[[float | None], str] = percent,
) -> str:
    """Format a value with its 95 % interval in parentheses; without an interval, the value alone.

    Args:
        value: The value.
        interval: Lower and upper ends; None means unknown.
        write: Formats a number, such as `percent`.
    """
    if interval is None:
        return write(value)
    return f"{write(value)} ({INTERVAL} {write(interval[0])} to {write(interval[1])})"


def change(before: float, after: float, *, digits: int) -> str:
    """Format a signed difference with the given number of decimals and a true minus sign."""
    return f"{after - before:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def duration(seconds: float) -> str:
    """Format a time as `0.4 s`, `3 min 20 s` or `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def format_score(name: str, value: float | None) -> str:
    """Format a score's value as a percentage or as a number."""
    known = SCORES.get(name) or PER_IMAGE.get(name)
    return percent(value) if known and known.share else number(value)
