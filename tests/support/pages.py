"""Synthetic report pages with scikit-learn's digits and blurred copies as reconstructions."""

from collections.abc import Mapping
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

from palimpsest.metrics import Metrics
from palimpsest.report import ReportInput, judge, render_page

CONFIG: dict[str, Any] = {
    "description": "Digits, forgotten by retraining.",
    "paper": "",
    "data": {"name": "digits", "auxiliary": None, "auxiliary_size": 800, "partition": "iid"},
    "model": {"name": "convnet", "width": 16},
    "federation": {"clients": 10, "fraction": 0.5, "rounds": 20, "aggregation": "fedavg"},
    "unlearning": {"scenario": "sample", "count": 120, "indices": None, "method": "retrain"},
    "defenses": [{"name": "gaussian", "sigma": 0.1}],
    "verification": {"tau": "calibrated", "quantile": 0.99},
    "attack": {"name": "igf", "epochs": 40},
    "seed": 1234,
    "device": "auto",
}
_YAML = "data:\n  name: digits\nseed: 1234\n"


def digits(count: int, *, size: int = 32, channels: int = 3) -> tuple[Tensor, Tensor]:
    """Load digits as `[n, c, size, size]` in [0, 1], randomly tinted, with their labels."""
    data = load_digits()
    rows = torch.arange(count) % len(data.target)
    images = torch.tensor(data.images, dtype=torch.float32)[rows].unsqueeze(1) / 16
    images = F.interpolate(images, size=(size, size), mode="bilinear").clamp(0, 1)
    generator = torch.Generator().manual_seed(1)
    tint = torch.rand(count, channels, 1, 1, generator=generator) * 0.7 + 0.3
    grain = torch.randn(count, channels, size, size, generator=generator) * 0.05
    return (images * tint + grain).clamp(0, 1), torch.tensor(data.target)[rows]


def blurred(images: Tensor) -> Tensor:
    """Blur the images with a box filter; later images are closer to the mean image."""
    soft = F.avg_pool2d(images, 7, stride=1, padding=3)
    share = torch.linspace(0.1, 0.97, len(images)).view(-1, 1, 1, 1)
    return (1 - share) * soft + share * images.mean(0, keepdim=True)


def ranks(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Rank the correct image among all images by distance; 1 means nearest."""
    distances = torch.cdist(reconstructions.flatten(1), images.flatten(1))
    return (distances < distances.diagonal().unsqueeze(1)).sum(1) + 1


def scores_of(mse: float, top1: float, count: int) -> dict[str, Any]:
    """Make consistent scores from an error and an identification rate."""
    psnr = float(-10 * torch.tensor(mse).log10())
    return {
        "mse": mse,
        "psnr": psnr + 0.4,
        "psnr_of_mean_mse": psnr,
        "ssim": 1 - 6 * mse,
        "lpips": 8 * mse,
        "identification_top1": top1,
        "identification_top5": min(1.0, 1.1 * top1),
        "count": count,
    }


def behavior(retained: float, forgotten: float, test: float, auc: float, tpr: float) -> dict[str, Any]:
    return {
        "retained": retained,
        "forgotten": forgotten,
        "test": test,
        "membership": {"auc": auc, "tpr": tpr},
    }


FORGETTING: dict[str, Any] = {
    "original": behavior(0.991, 0.992, 0.968, 0.612, 0.041),
    "unlearned": behavior(0.985, 0.958, 0.955, 0.507, 0.012),
    "retrained": behavior(0.990, 0.961, 0.959, 0.503, 0.009),
    "distance": {"absolute": 1.7, "relative": 0.31, "divergence": 0.1, "agreement": 0.97},
    "others": 100,
}


BOUNDS: dict[str, Any] = {
    "sigma": 12.0,
    "identification": {
        "candidates": 120,
        "chance": 1 / 120,
        "optimum": 0.02,
        "optimum_interval": (0.016, 0.025),
        "candidate_bound": 0.026,
        "joint_bound": 0.058,
        "any_candidates_bound": 0.041,
        "all_releases_bound": 0.041,
    },
    "error": {
        "bayes_error": 0.072,
        "bayes_interval": (0.0706, 0.0734),
        "prior_samples": 512,
        "van_trees": 0.042,
        "van_trees_deviation": 0.0001,
        "local_mean": 0.0422,
        "local_range": (0.04, 0.0427),
        "images": 8,
        "class_mean": 0.0428,
    },
    "epsilon": {
        "delta": 1e-5,
        "analytic": 5.9,
        "any_samples": 8.0,
        "measured": 1.5,
        "measured_gaussian": 2.8,
        "statistic": "difference",
        "power": 0.09,
        "level": 0.004,
        "releases": 500,
        "one_run": 0.43,
        "one_run_analytic": 6.0,
        "canaries": 256,
        "guesses": 128,
        "correct": 87,
    },
}
"""Bounds of clipped and noisy proofs, as in a `metrics.json`."""


def metrics_tree(
    *, mse: float, top1: float, count: int, mean_image: float = 0.08, **changes: Any
) -> dict[str, Any]:
    """Make the contents of a metrics.json from the numbers of a verdict; a section of None is left out."""
    tree: dict[str, Any] = {
        "attack": {"queries": 800.0},
        "federation": {
            "original_accuracy": 0.968,
            "unlearned_accuracy": 0.955,
            "participation": [12, 8, 11, 9, 10, 10, 13, 7, 10, 0],
            "faults": 0,
        },
        "forgetting": FORGETTING,
        "verification": {"tau": 3.2, "accepted": count - 4, "rejected": 4},
        "reconstruction": scores_of(mse, top1, count),
        "chance": {"identification_top1": 1 / count, "identification_top5": min(1.0, 5 / count)},
        "baselines": {
            "mean_image": scores_of(mean_image, 1 / count, count),
            "nearest_auxiliary": scores_of(0.05, 8 / count, count),
        },
        "intervals": {"mse": [mse * 0.95, mse * 1.05], "psnr": [17.0, 18.0]},
        "seconds": {"data": 0.4, "train": 71.0, "unlearn": 64.2, "prove": 3.1, "attack": 205.0, "score": 9.9},
    }
    return {name: part for name, part in (tree | changes).items() if part is not None}


def make_metrics(**numbers: Any) -> Metrics:
    """Make metrics from the arguments of `metrics_tree`."""
    return Metrics.model_validate(metrics_tree(**numbers))


def unscored_metrics(**changes: Any) -> Metrics:
    """Make the metrics of an attack without the forgotten samples."""
    tree = {
        "attack": {},
        "seconds": {"attack": 1.0},
        "verification": {"tau": 1.5, "accepted": 2, "rejected": 1},
    }
    return Metrics.model_validate({name: part for name, part in (tree | changes).items() if part is not None})


def draw(page: ReportInput, *, redact: bool = False) -> str:
    """Render the page as HTML."""
    return render_page(page, judge(page), redact=redact)


def unscored_page(count: int = 3, **changes: Any) -> ReportInput:
    """Make the page of an attack without the forgotten images."""
    fields: dict[str, Any] = {
        "title": "igf attack on <b>proofs</b>",
        "command": "palimpsest attack",
        "facts": [("Attack", "igf")],
        "config": {"seed": 1, "attack": {"name": "igf"}},
        "config_yaml": "seed: 1\n",
        "versions": {"torch": "2"},
        "metrics": unscored_metrics(),
        "reconstructions": torch.rand(count, 1, 8, 8),
        "history": {"training_loss": [1.0, 0.5]},
        "knowledge": ["Proofs."],
        "notes": ["A <script>note</script>."],
        "accepted": torch.arange(count) > 0,
        "norms": torch.arange(count).float(),
    }
    return ReportInput(**{**fields, **changes})


def row_metrics(top1: float = 0.9, mse: float = 0.2) -> Metrics:
    """Make the metrics of an attack on 20 rows of a table."""
    ends = [mse - 0.1, mse + 0.1]
    typical = {"mse": 1.0, "identification_top1": 0.0, "identification_top5": 0.0, "count": 20}
    return unscored_metrics(
        reconstruction={"mse": mse, "identification_top1": top1, "identification_top5": 1.0, "count": 20},
        chance={"identification_top1": 0.05, "identification_top5": 0.25},
        baselines={"typical": typical},
        intervals={"mse": ends, "identification_top1": [0.8, 1.0]},
        metrics={"mse": {"label": "MSE", "meaning": "in units <of> deviation", "better": "low"}},
        verification={"accepted": 19, "rejected": 1, "tau": 2.0},
    )


def rows_page(**changes: Any) -> ReportInput:
    """Make the page of an attack on rows of a table, of which it shows two."""
    fields: dict[str, Any] = {
        "title": "igf-rows attack on <b>proofs</b>",
        "config": {"seed": 1, "attack": {"name": "igf-rows"}},
        "reconstructions": torch.rand(2, 2),
        "accepted": torch.tensor([True, False]),
        "norms": torch.tensor([1.0, 3.0]),
        "kind": "rows of a table",
        "columns": ["age", "<script>"],
        "cells": [["41", "0.5"], ["7", "1"]],
        "truth_cells": [["40", "0.5"], ["8", "1"]],
        "cell_rows": [1, 0],
        "labels": torch.tensor([0, 1]),
        "per_image": {"mse": torch.tensor([0.3, 0.1]), "identification_top1": torch.tensor([0.0, 1.0])},
        "metrics": row_metrics(),
    }
    return unscored_page(**{**fields, **changes})


def synthetic_report(
    count: int = 120,
    *,
    size: int = 32,
    channels: int = 3,
    parts: Mapping[str, Any] | None = None,
    **changes: Any,
) -> ReportInput:
    """Make the page of an audit of digits.

    Args:
        count: Number of forgotten digits.
        size: Height and width of the images in pixels.
        channels: Number of channels, 1 or 3.
        parts: Sections of the metrics to replace.
        changes: Fields of the page to replace.
    """
    originals, labels = digits(count, size=size, channels=channels)
    reconstructions = blurred(originals)
    mse = (originals - reconstructions).square().mean((1, 2, 3))
    places = ranks(originals, reconstructions)
    generator = torch.Generator().manual_seed(2)
    norms = torch.rand(count, generator=generator).sqrt() * 3.3
    fields: dict[str, Any] = {
        "title": "What a gradient-difference proof shows of 120 forgotten digits",
        "command": "palimpsest audit digits-sample --seed 1234",
        "config": CONFIG,
        "config_yaml": _YAML,
        "versions": {"palimpsest": "0.1.0", "torch": "2.13.0", "python": "3.11.7"},
        "facts": [("Data", "digits"), ("Attack", "igf")],
        "metrics": make_metrics(
            mse=float(mse.mean()), top1=float((places == 1).double().mean()), count=count, **(parts or {})
        ),
        "originals": originals,
        "reconstructions": reconstructions,
        "labels": labels,
        "owners": torch.arange(count) % 4,
        "per_image": {
            "mse": mse,
            "psnr": -10 * mse.log10(),
            "ssim": 1 - 6 * mse,
            "lpips": 8 * mse + 0.02 * torch.rand(count, generator=generator),
            "rank": places,
        },
        "accepted": norms <= 3.2,
        "norms": norms,
        "history": {
            "training loss": [0.09 * 0.93**epoch + 0.012 for epoch in range(40)],
            "validation loss": [0.09 * 0.94**epoch + 0.019 for epoch in range(40)],
        },
        "knowledge": [
            "Gradients of any sample, from the original and the unlearned model.",
            "800 images.",
        ],
        "notes": ["digits has 1,797 images of 8 x 8 pixels."],
    }
    return ReportInput(**{**fields, **changes})
