"""Fit of the learned starts and the priors to auxiliary images and the features that the models compute of them."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.attacks.exact.priors import fit_prior
from palimpsest.attacks.exact.read_chain import Trunk
from palimpsest.attacks.exact.start import LevelFeatures, SolvedPairs, Start, build_start
from palimpsest.attacks.exact.state import MOST_PIXELS, ExactState, StartErrors
from palimpsest.attacks.learned.augmentation import augmented_queries
from palimpsest.attacks.learned.image_training import TrainingPlan, train_inverter
from palimpsest.attacks.learned.precision import Precision
from palimpsest.attacks.learned.state import Network
from palimpsest.attacks.learned.training import History, global_seed
from palimpsest.datasets import ImageSet
from palimpsest.randomness import fork

# Numbers of auxiliary images to which the features' scales and the errors' covariance are fitted, and the share of the
# auxiliary images that are kept aside at most.
_SCALED, _ERRORS, _ASIDE = 1000, 1500, 0.25
# Number of images whose errors define the priors, and of images that are processed at a time.
_PRIOR, _CHUNK = 128, 64


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Settings of the fit; see `IGFExact`.

    Args:
        networks: Number of starts.
        queries: Training images for each auxiliary image.
        horizontal_flip: Whether to flip images.
        width: Channels of a network's first map.
        blocks: Residual blocks on the first map.
        epochs: Training epochs.
        batch_size: Images in a step.
        learning_rate: Peak of the learning rate.
        precision: Number format of the networks.
        kept_aside: Number of images that are kept aside from training, at least.
        device: "cpu" or "cuda".
    """

    networks: int
    queries: int
    horizontal_flip: bool
    width: int
    blocks: int
    epochs: int
    batch_size: int
    learning_rate: float
    precision: Precision
    kept_aside: int
    device: str


def fit_state(
    trunk: Trunk, auxiliary: ImageSet, plan: Plan, *, generator: Generator
) -> tuple[ExactState, Tensor]:
    """Train the starts, and measure their errors.

    Args:
        trunk: Both models.
        auxiliary: The auditor's images.
        plan: Settings.
        generator: Source of randomness.

    Returns:
        The state, whose thresholds are not calibrated yet, and the indices of the images that were kept aside.
    """
    chain, count = trunk.chain, len(auxiliary)
    order = torch.randperm(count, generator=generator)
    aside = max(1, min(max(plan.kept_aside, round(0.05 * count)), round(_ASIDE * count)))
    kept, trained = order[:aside], order[aside:]
    images = auxiliary.images[kept[:_PRIOR]]
    sample = torch.cat([auxiliary.images[kept], auxiliary.images[trained]])[:_ERRORS]
    history: History = {}
    starts, errors = [], []
    lowest = 0 if chain.limit else 1
    for number, level in enumerate(range(len(chain.blocks), lowest - 1, -1)[: plan.networks]):
        start, series = _train(trunk, level, auxiliary, plan, kept=kept, trained=trained, generator=generator)
        starts.append(start)
        history |= {f"{name}_{number + 1}" if number else name: values for name, values in series.items()}
        if not chain.limit and sample[0].numel() <= MOST_PIXELS:
            errors.append(_measure_errors(trunk, start, sample, plan.device))
    priors = []
    for level in range(len(chain.blocks)):
        start = min(
            (start for start in starts if start.features.level > level),
            key=lambda start: start.features.level,
        )
        estimates = start.images(trunk.levels(images)[start.features.level], device=plan.device)
        priors.append(fit_prior(trunk, level, images, estimates))
    facts: dict[str, float] = {"auxiliary_images": count, "kept_aside": aside, "blocks": len(chain.blocks)}
    thresholds = tuple(1e-3 for _ in chain.layers)
    seed = fork(generator)
    return (
        ExactState(chain, tuple(starts), tuple(errors), tuple(priors), thresholds, 0.0, seed, history, facts),
        kept,
    )


def _train(
    trunk: Trunk,
    level: int,
    auxiliary: ImageSet,
    plan: Plan,
    *,
    kept: Tensor,
    trained: Tensor,
    generator: Generator,
) -> tuple[Start, History]:
    """Train the start of a level."""
    features = LevelFeatures.fit(trunk, level, auxiliary.images[trained[:_SCALED]])
    queries = augmented_queries(
        auxiliary, plan.queries, horizontal_flip=plan.horizontal_flip, generator=generator
    )
    starts = torch.arange(0, len(queries), len(auxiliary)).unsqueeze(1)
    with global_seed(fork(generator)):
        network = build_start(features, auxiliary.shape, width=plan.width, blocks=plan.blocks)
    pairs = SolvedPairs(trunk, features, queries.images_uint8, (trained + starts).flatten())
    history = train_inverter(
        network,
        lambda _: pairs,
        SolvedPairs(trunk, features, queries.images_uint8, kept),
        None,
        TrainingPlan(
            epochs=plan.epochs,
            batch_size=plan.batch_size,
            learning_rate=plan.learning_rate,
            schedule="one-cycle",
            beta=0.0,
            perceptual_batch=None,
            precision=plan.precision,
            device=plan.device,
        ),
        generator=generator,
    )
    weights = {name: value.contiguous() for name, value in network.cpu().state_dict().items()}
    return Start(features, auxiliary.shape, plan.width, plan.blocks, Network(weights)), history


def _measure_errors(trunk: Trunk, start: Start, images: Tensor, device: str) -> StartErrors:
    """Measure a start's errors, and how they grow with the misfit of the features."""
    level, errors, misfits = start.features.level, [], []
    for part in images.split(_CHUNK):
        known = trunk.levels(part)[level]
        estimates = start.images(known, device=device)
        errors.append(part - estimates)
        misfits.append((trunk.levels(estimates)[level] - known).flatten(1).square().sum(1))
    samples = torch.cat(errors)
    misfit = torch.cat(misfits).double().clamp_min(1e-30).log()
    error = samples.double().square().flatten(1).mean(1).clamp_min(1e-30).log()
    spread = (misfit - misfit.mean()).square().mean().clamp_min(1e-12)
    slope = float(((misfit - misfit.mean()) * (error - error.mean())).mean() / spread)
    return StartErrors(samples.half(), float(misfit.mean()), float(error.mean()), slope)
