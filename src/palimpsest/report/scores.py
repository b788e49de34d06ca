"""The scores of a reconstruction: how each is called, which way is better, how its numbers are written."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """How one score is presented."""

    label: str
    meaning: str
    better: str
    """`low` or `high`."""
    share: bool = False
    """Written as a percentage."""


SCORES = {
    "mse": Score("MSE", "mean squared error of pixels in [0, 1]", "low"),
    "psnr": Score("PSNR", "peak signal-to-noise ratio in dB, mean over images", "high"),
    "psnr_of_mean_mse": Score("PSNR of mean MSE", "in dB, the other convention in use", "high"),
    "ssim": Score("SSIM", "structural similarity, 1 is identical", "high"),
    "lpips": Score("LPIPS", "learned perceptual distance, 0 is identical", "low"),
    "identification_top1": Score(
        "Told apart, first guess", "the right image is the nearest of all forgotten ones", "high", share=True
    ),
    "identification_top5": Score(
        "Told apart, five guesses", "the right image is among the five nearest", "high", share=True
    ),
}
"""Scores of a whole attack, in the order of the table."""

PER_IMAGE = {
    **{name: SCORES[name] for name in ("lpips", "mse", "psnr", "ssim")},
    "rank": Score("Rank", "place of the right image among all forgotten ones, 1 is first", "low"),
}
"""Scores of one image; the gallery is sorted by the first that is there."""


def count(value: float) -> str:
    """A whole number with thousands separated: `1,000`."""
    return f"{round(value):,}"


def number(value: float | None) -> str:
    """A number with up to four significant digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def percent(value: float | None) -> str:
    """A share in [0, 1] as a percentage with one decimal; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def change(before: float, after: float, *, digits: int) -> str:
    """A signed difference with so many decimals and a true minus sign."""
    return f"{after - before:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def duration(seconds: float) -> str:
    """A time as `0.4 s`, `3 min 20 s` or `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def written(name: str, value: float | None) -> str:
    """A score's value, as a percentage or as a number."""
    return percent(value) if name in SCORES and SCORES[name].share else number(value)
