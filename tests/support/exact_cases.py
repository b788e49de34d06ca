"""Tiny classifiers at two models, with proofs by automatic differentiation in float64."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from palimpsest.attacks.exact.chain import Chain
from palimpsest.attacks.exact.read_chain import Trunk, read_chain
from palimpsest.attacks.exact.routing import Known
from palimpsest.models import Normalized

SHAPE, CLASSES = (2, 4, 4), 3


def max_pooled() -> nn.Module:
    """Make a block with max pooling, whose equations determine an image."""
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(24, CLASSES)
    )


def average_pooled() -> nn.Module:
    """Make a block with average pooling."""
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, CLASSES)
    )


def strided() -> nn.Module:
    """Make two smooth blocks without pooling, the second of them with stride."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(4, 6, 3, stride=2, padding=1),
        nn.Sigmoid(),
        nn.Flatten(),
        nn.Linear(24, CLASSES),
    )


def deep() -> nn.Module:
    """Make blocks with batch normalization, leaky ReLU, a hidden linear layer, and normalized images."""
    network = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.LeakyReLU(0.2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 12),
        nn.ReLU(),
        nn.Linear(12, CLASSES),
    )
    return Normalized(network, [0.4, 0.5], [0.2, 0.3])


def globally_pooled() -> nn.Module:
    """Make a block with global average pooling, and max pooling before the ReLU."""
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(5, 8, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, CLASSES),
    )


BUILDERS = {build.__name__: build for build in (max_pooled, average_pooled, strided, deep, globally_pooled)}


@dataclass(frozen=True)
class ExactCase:
    """Two models, images, and their proofs.

    Args:
        models: Both models in float64, in evaluation mode.
        chain: The chain that was read from them.
        trunk: The layers before the chain.
        images: Images in [0, 1], `[n, *SHAPE]` float64.
        labels: Their labels.
        proofs: Their gradient differences, `[n, d]` float64.
    """

    models: tuple[nn.Module, nn.Module]
    chain: Chain
    trunk: Trunk
    images: Tensor
    labels: Tensor
    proofs: Tensor

    @property
    def levels(self) -> list[Tensor]:
        """The true inputs of each layer."""
        return self.chain.levels(self.chain.normalize(self.images))

    def known(self, level: int) -> tuple[Known, Tensor, Tensor]:
        """Return what is known about a block, its true inputs, and its true switches."""
        block, levels = self.chain.blocks[level], self.levels
        signed = self.chain.signed(self.chain.residuals(levels[-1].flatten(2), self.labels))
        gradients = torch.einsum("nmc,mcw->nmw", signed, self.chain.weight)
        for above in range(len(self.chain.blocks) - 1, level, -1):
            upper = self.chain.blocks[above]
            inner = upper.switches(upper.before_activation(self.inputs(above)))
            outer = gradients.reshape(len(self.images), 2, *upper.outputs).unsqueeze(-1)
            gradients = upper.backpropagate(inner * outer)
        inputs = self.inputs(level)
        shape = (len(self.images), 2, *block.outputs)
        known = Known(
            block,
            levels[level + 1].reshape(shape),
            gradients.reshape(shape),
            self.chain.rows(self.proofs)[level],
        )
        switches = (block.switches(block.before_activation(inputs)) != 0).double()
        return known, inputs, switches

    def inputs(self, level: int) -> Tensor:
        """Return the true inputs of a block, `[n, m, *inputs]`."""
        inputs = self.levels[level]
        return inputs.reshape(*inputs.shape[:2], *self.chain.blocks[level].inputs)


def exact_case(build: Callable[[], nn.Module] = max_pooled, *, count: int = 3, seed: int = 0) -> ExactCase:
    """Make two models that differ as two trainings do, and the proofs of random images."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        models = build().double().eval(), build().double().eval()
        for first, second in zip(models[0].parameters(), models[1].parameters(), strict=True):
            second.data = first.data + 0.4 * first.data.std().nan_to_num(0.1) * torch.randn_like(first)
            first.data, second.data = 2 * first.data, 2 * second.data
        for model in models:
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    assert module.running_mean is not None
                    assert module.running_var is not None
                    module.running_mean.normal_(0, 0.2)
                    module.running_var.uniform_(0.5, 2.0)
        images = torch.rand(count, *SHAPE, dtype=torch.float64)
        labels = torch.randint(CLASSES, (count,))
    chain, trunk = read_chain(*models, SHAPE)
    return ExactCase(models, chain, trunk, images, labels, reference_proofs(models, images, labels))


def reference_proofs(models: tuple[nn.Module, nn.Module], images: Tensor, labels: Tensor) -> Tensor:
    """Compute proofs by one backward pass per sample: correct, slow."""

    def gradient(model: nn.Module, image: Tensor, label: Tensor) -> Tensor:
        loss = nn.functional.cross_entropy(model(image[None]), label[None])
        parts = torch.autograd.grad(loss, list(model.parameters()))
        return torch.cat([part.flatten() for part in parts])

    pairs = list(zip(images, labels, strict=True))
    first, second = (torch.stack([gradient(model, *pair) for pair in pairs]) for model in models)
    return first - second
