"""Benchmark of gradient matching: batched restarts against sequential restarts, and against autograd.

With PALIMPSEST_DATA_DIR set, the batch is from MNIST, otherwise it is noise. All three take the same steps of Adam on
the same LeNet in float64 from the same starts. Rates count the steps of each restart.
"""

import os
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.timing import Clock, Line, lines_of
from palimpsest.attacks import Adam, Pixels, Problem, Term
from palimpsest.config import DataConfig, ModelConfig
from palimpsest.datasets import load_data
from palimpsest.gradients import BatchGradient
from palimpsest.models import build_model
from palimpsest.progress import progress_line
from palimpsest.storage import Parameters

RESTARTS, STEPS, SHAPE = 16, 20, (1, 28, 28)
SEQUENTIAL, AUTOGRAD = "sequential restarts", "sequential restarts in autograd"
TARGETS = {SEQUENTIAL: 5.0, AUTOGRAD: 3.0}


def lines(clock: Clock, *, quick: bool) -> list[Line]:
    """Measure batches of one, four and sixteen samples.

    Args:
        clock: Clock to measure with.
        quick: Measure only a batch of one sample.
    """
    config = ModelConfig.model_validate({"name": "lenet", "initialization": "uniform"})
    model = build_model(config, shape=SHAPE, classes=10, seed=0).double().eval()
    sizes = (1,) if quick else (1, 4, 16)
    return [line for count in sizes for line in _race(model, *batch(count), clock)]


def batch(samples: int) -> tuple[Tensor, Tensor]:
    """Return images `[samples, 1, 28, 28]` and one-hot labels `[samples, 10]`, float64."""
    folder = os.environ.get("PALIMPSEST_DATA_DIR")
    if folder:
        train = load_data(
            DataConfig(name="mnist", train_size=100), clients=1, seed=0, data_dir=Path(folder)
        ).train
        images, labels = train.images[:samples], train.labels[:samples]
    else:
        generator = torch.Generator().manual_seed(0)
        images = torch.rand(samples, *SHAPE, generator=generator)
        labels = torch.randint(10, (samples,), generator=generator)
    return images.double(), F.one_hot(labels, 10).double()


def _race(model: nn.Module, images: Tensor, targets: Tensor, clock: Clock) -> list[Line]:
    parameters = {name: value.detach() for name, value in model.state_dict().items()}
    starts = torch.rand(RESTARTS, *images.shape, generator=torch.Generator().manual_seed(1)).double()
    batched = partial(search, model, parameters, images, targets)
    seconds = clock.race(
        {
            "ours": partial(batched, starts),
            SEQUENTIAL: lambda: [batched(start) for start in starts.split(1)],
            AUTOGRAD: lambda: [search_with_autograd(model, images, targets, start) for start in starts],
        }
    )
    task = f"matching, {RESTARTS} restarts of {len(images)} samples"
    # The targets hold for batches of one sample, because larger batches fill the processor without batched restarts.
    reachable = TARGETS if len(images) == 1 else {}
    return lines_of(task, seconds, count=RESTARTS * STEPS, unit="steps/s", targets=reachable)


def search(
    model: nn.Module, parameters: Parameters, images: Tensor, targets: Tensor, starts: Tensor
) -> Tensor:
    """Take the steps of all restarts at once.

    Args:
        model: The model.
        parameters: Its parameters.
        images: Images of the observed batch.
        targets: Their one-hot labels.
        starts: Initial images, `[restarts, n, c, h, w]`.

    Returns:
        The final images of each restart, `[restarts, ...]`.
    """
    gradient = BatchGradient(model)
    observed = gradient(parameters, images, targets)[None]
    problem = Problem(
        gradient=gradient,
        terms=[Term(parameters, observed, len(images))],
        shape=(len(images), *SHAPE),
        classes=10,
        targets=targets[None],
        coordinates=Pixels((-torch.inf, torch.inf)),
        objective="euclidean",
        smoothness=0.0,
        restarts=len(starts),
        chunk=len(starts),
    )
    with progress_line("search", STEPS) as line:
        found = Adam(STEPS, 0.01, decay=1.0).minimize(
            problem.objective_and_gradient(), problem.unknowns(starts), problem.box(), line
        )
    return problem.images(found.points)


def search_with_autograd(model: nn.Module, images: Tensor, targets: Tensor, start: Tensor) -> Tensor:
    """Take the steps of one restart in the usual way, by differentiating the graph of the gradient."""
    weights = list(model.parameters())

    def gradient(images: Tensor, *, graph: bool) -> Tensor:
        loss = F.cross_entropy(model(images), targets)
        gradients = torch.autograd.grad(loss, weights, create_graph=graph)
        return torch.cat([part.flatten() for part in gradients])

    observed = gradient(images, graph=False).detach()
    dummy = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([dummy], lr=0.01)
    for _ in range(STEPS):
        optimizer.zero_grad()
        distance = (gradient(dummy, graph=True) - observed).square().sum() / observed.square().sum()
        distance.backward(inputs=[dummy])
        optimizer.step()
    return dummy.detach()
