"""Relearning: training on the forgotten samples, to measure how fast a model knows them again."""

from itertools import count, islice

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import SGD

from palimpsest.federation import Federation, batches, predict
from palimpsest.models import laid_out_for, load_parameters
from palimpsest.randomness import derive_seed
from palimpsest.storage import Parameters
from palimpsest.unlearning.scenarios import Request


def relearn_losses(
    parameters: Parameters, federation: Federation, request: Request, *, steps: int = 50
) -> Tensor:
    """Train on the forgotten samples with mini-batch SGD, and measure the mean loss on them after each step.

    Batch size and learning rate are the federation's, and the batches are the same for every model. The model is in
    eval mode, so batch norm's statistics do not change.

    Args:
        parameters: State dict of the model.
        federation: Data, model, settings, device and seed.
        request: Samples that were forgotten.
        steps: Number of steps.

    Returns:
        Mean loss on the forgotten samples before the first step and after each step, `[steps + 1]` float64.
    """
    network = load_parameters(federation.network().to(federation.device), parameters).eval()
    train, settings = federation.data.train, federation.config
    forgotten = train.subset(request.rows)
    optimizer = SGD(network.parameters(), lr=settings.learning_rate, momentum=settings.momentum)
    seed = derive_seed(federation.seed, "unlearning", "relearn")
    endless = (
        batch
        for epoch in count()
        for batch in batches(request.rows, settings.batch_size, seed=derive_seed(seed, "epoch", epoch))
    )

    def loss() -> float:
        return F.cross_entropy(predict(network, forgotten.images), forgotten.labels).item()

    losses = [loss()]
    for batch in islice(endless, steps):
        optimizer.zero_grad()
        images = laid_out_for(network, train.images[batch].to(federation.device))
        F.cross_entropy(network(images), train.labels[batch].to(federation.device)).backward()
        optimizer.step()
        losses.append(loss())
    return torch.tensor(losses, dtype=torch.float64)
