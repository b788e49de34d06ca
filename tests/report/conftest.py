"""An audit's results made up from real images: scikit-learn's digits and blurred copies of them."""

import copy
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

from palimpsest.report import ReportInput

_CONFIG: dict[str, Any] = {
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
    """Digits as `[n, c, size, size]` in [0, 1], tinted where they have colours, with their labels."""
    data = load_digits()
    rows = torch.arange(count) % len(data.target)
    images = torch.tensor(data.images, dtype=torch.float32)[rows].unsqueeze(1) / 16
    images = F.interpolate(images, size=(size, size), mode="bilinear").clamp(0, 1)
    generator = torch.Generator().manual_seed(1)
    tint = torch.rand(count, channels, 1, 1, generator=generator) * 0.7 + 0.3
    grain = torch.randn(count, channels, size, size, generator=generator) * 0.05
    return (images * tint + grain).clamp(0, 1), torch.tensor(data.target)[rows]


def blurred(images: Tensor) -> Tensor:
    """The images through a box filter; the later an image stands, the nearer it comes to the mean image."""
    soft = F.avg_pool2d(images, 7, stride=1, padding=3)
    share = torch.linspace(0.1, 0.97, len(images)).view(-1, 1, 1, 1)
    return (1 - share) * soft + share * images.mean(0, keepdim=True)


def ranks(images: Tensor, reconstructions: Tensor) -> Tensor:
    """The place of the right image among all by squared distance, 1 is first."""
    distances = torch.cdist(reconstructions.flatten(1), images.flatten(1))
    return (distances < distances.diagonal().unsqueeze(1)).sum(1) + 1


def scores_of(mse: float, top1: float, count: int) -> dict[str, Any]:
    """Scores that belong together, from an error and a share of right guesses."""
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


def whole_metrics(*, mse: float, top1: float, count: int, mean_image: float = 0.08) -> dict[str, Any]:
    """A whole metrics tree around the numbers that a verdict rests on."""
    return {
        "federation": {"original_accuracy": 0.968, "unlearned_accuracy": 0.955, "participation": [10] * 10},
        "verification": {"tau": 3.2, "accepted": count - 4, "refused": 4},
        "reconstruction": scores_of(mse, top1, count),
        "chance": {"identification_top1": 1 / count, "identification_top5": min(1.0, 5 / count)},
        "baselines": {
            "mean_image": scores_of(mean_image, 1 / count, count),
            "nearest_auxiliary": scores_of(0.05, 8 / count, count),
        },
        "intervals": {"mse": [mse * 0.95, mse * 1.05], "psnr": [17.0, 18.0]},
        "seconds": {},
    }


def synthetic_report(count: int = 120, *, size: int = 32, channels: int = 3, **changes: Any) -> ReportInput:
    originals, labels = digits(count, size=size, channels=channels)
    reconstructions = blurred(originals)
    mse = (originals - reconstructions).square().mean((1, 2, 3))
    places = ranks(originals, reconstructions)
    generator = torch.Generator().manual_seed(2)
    norms = torch.rand(count, generator=generator).sqrt() * 3.3
    fields: dict[str, Any] = {
        "title": "What a gradient-difference proof shows of 120 forgotten digits",
        "command": "palimpsest audit digits-sample --seed 1234",
        "config": _CONFIG,
        "config_yaml": _YAML,
        "versions": {"palimpsest": "0.1.0", "torch": "2.13.0", "python": "3.11.7"},
        "seconds": {"data": 0.4, "train": 71.0, "unlearn": 64.2, "prove": 3.1, "attack": 205.0, "score": 9.9},
        "metrics": whole_metrics(
            mse=float(mse.mean()), top1=float((places == 1).double().mean()), count=count
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
        "curves": {
            "training loss": [0.09 * 0.93**epoch + 0.012 for epoch in range(40)],
            "validation loss": [0.09 * 0.94**epoch + 0.019 for epoch in range(40)],
        },
        "knowledge": [
            "Gradients of any sample it likes, from the original and the unlearned model.",
            "800 images.",
        ],
        "participation": [12, 8, 11, 9, 10, 10, 13, 7, 10, 0],
        "forgetting": {
            "accuracy_retained": [0.991, 0.985, 0.990],
            "accuracy_forgotten": [0.992, 0.958, 0.961],
            "accuracy_test": [0.968, 0.955, 0.959],
            "membership_auc": [0.612, 0.507, 0.503],
            "membership_tpr": [0.041, 0.012, 0.009],
            "distance_to_retrained": 1.7,
            "relative_distance": 0.31,
        },
        "notes": ["digits has 1,797 images of 8 x 8 pixels."],
    }
    return ReportInput(**{**fields, **changes})


@pytest.fixture(scope="session")
def report() -> ReportInput:
    """An audit of 120 digits; not to be changed."""
    return synthetic_report()


@pytest.fixture(scope="session")
def make_report() -> Callable[..., ReportInput]:
    """Makes audits of other sizes, with fields replaced."""
    return synthetic_report


@pytest.fixture(scope="session")
def metrics_of() -> Callable[..., dict[str, Any]]:
    """Makes a metrics tree around the numbers that a verdict rests on."""
    return whole_metrics


@pytest.fixture
def config() -> dict[str, Any]:
    """A configuration that the test may change."""
    return copy.deepcopy(_CONFIG)


@dataclass
class Opened:
    """A page in the browser, and what it did that it should not."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; without one the test is skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    names = "chromium", "chromium-browser", "google-chrome"
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        pytest.skip("no Chromium on this machine's path")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens a page of HTML by itself: it reaches nothing, and what it asks for is written down."""
    contexts = []

    def open_page(html: str, **settings: object) -> Opened:
        file = tmp_path / "report.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        contexts.append(context)
        opened = Opened(context.new_page())

        def refuse(route: Any) -> None:
            if route.request.url == file.as_uri():
                route.continue_()
            else:
                opened.requests.append(route.request.url)
                route.abort()

        context.route(lambda url: not url.startswith("data:"), refuse)
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.goto(file.as_uri())
        return opened

    yield open_page
    for context in contexts:
        context.close()
