"""The numbers that runs are compared by."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A number that runs are compared by.

    Args:
        name: Its key in the table's JSON and CSV.
        heading: What stands above it.
        path: Where it stands in `metrics.json`.
        form: How it is printed.
        meaning: What it tells, in a few words.
        better: `low` or `high`.
        interval: Where its 95 % interval stands, if it has one: its two ends, or a mapping with `low` and `high`.
        chance: Where it stands what somebody gets who knows nothing, if that is known.
    """

    name: str
    heading: str
    path: tuple[str | int, ...]
    form: str
    meaning: str
    better: str
    interval: tuple[str | int, ...] = ()
    chance: tuple[str | int, ...] = ()


COLUMNS = (
    Column(
        "mse",
        "MSE",
        ("reconstruction", "mse"),
        ".4f",
        "mean squared error of the reconstructions, pixels in [0, 1]",
        "low",
        ("intervals", "mse"),
    ),
    Column(
        "psnr",
        "PSNR",
        ("reconstruction", "psnr"),
        ".2f",
        "peak signal-to-noise ratio in dB, mean over images",
        "high",
        ("intervals", "psnr"),
    ),
    Column(
        "ssim",
        "SSIM",
        ("reconstruction", "ssim"),
        ".3f",
        "structural similarity, 1 is identical",
        "high",
        ("intervals", "ssim"),
    ),
    Column(
        "lpips",
        "LPIPS",
        ("reconstruction", "lpips"),
        ".3f",
        "learned perceptual distance, 0 is identical",
        "low",
        ("intervals", "lpips"),
    ),
    Column(
        "top1",
        "told apart",
        ("reconstruction", "identification_top1"),
        ".1%",
        "forgotten samples whose reconstruction is nearest to themselves",
        "high",
        ("intervals", "identification_top1"),
        ("chance", "identification_top1"),
    ),
    Column(
        "confirmed",
        "confirmed",
        ("confirmation", "identified"),
        ".1%",
        "proofs that an auditor who holds the samples already matches with theirs",
        "high",
        ("confirmation", "intervals", 0),
        ("confirmation", "chance"),
    ),
    Column(
        "accuracy",
        "accuracy",
        ("federation", "unlearned_accuracy"),
        ".1%",
        "of the unlearned model on test samples",
        "high",
        ("rates", "accuracy_test_unlearned"),
        ("rates", "accuracy_test_unlearned", "chance"),
    ),
)
