"""Positive control of a server's attack: gradients of batches of public images, which the server makes itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from palimpsest.attacks import BatchLabels, BatchReconstruction, ServerAttack, ServerView
from palimpsest.config import DefenseConfig
from palimpsest.datasets import ImageSet
from palimpsest.defenses import apply_defenses
from palimpsest.federation import Observation, observe
from palimpsest.pipeline.stages.control import Control
from palimpsest.randomness import make_generator
from palimpsest.runs import Run

_MOST_BATCHES, _SHARE = 4, 10


@dataclass(frozen=True)
class Aside:
    """Public images that the server keeps aside from the attack, as the samples of batches.

    Args:
        retained: Images in the role of retained samples, batch by batch.
        forgotten: Images in the role of forgotten samples, batch by batch.
        batches: Number of batches.
    """

    retained: ImageSet
    forgotten: ImageSet
    batches: int


def keep_batches_aside(view: ServerView, size: int, *, seed: int) -> tuple[ServerView, Aside | None]:
    """Split the public images: up to four batches are kept aside, and the attack gets the others.

    Args:
        view: The server's view.
        size: Number of images to keep aside, at most a tenth of the public ones; 0 keeps none.
        seed: The run's seed, which selects the images.

    Returns:
        The view without the kept-aside images, and these images; None if they would not fill a batch.
    """
    observation, public = view.observation, view.public
    allowed = min(size, len(public) // _SHARE) // observation.batch
    batches = min(_MOST_BATCHES, len(observation.gradients_before), allowed)
    if not batches:
        return view, None
    order = torch.randperm(len(public), generator=make_generator(seed, "positive control"))
    retained, both = batches * observation.retained, batches * observation.batch
    aside = Aside(public.subset(order[:retained]), public.subset(order[retained:both]), batches)
    return replace(view, public=public.subset(order[both:].sort().values)), aside


def attack_batches_aside(
    run: Run,
    view: ServerView,
    attack: ServerAttack,
    aside: Aside | None,
    defenses: Sequence[DefenseConfig],
    *,
    seed: int,
    key: Sequence[object],
) -> Control | None:
    """Run the stage `reconstructions-control`: attack gradients of the kept-aside batches.

    Args:
        run: The run that stores the stage.
        view: The server's view, without the kept-aside images.
        attack: The attack.
        aside: The kept-aside images; None runs nothing.
        defenses: The defenses of the clients, which the server imitates.
        seed: The run's seed.
        key: Everything else that the result depends on.

    Returns:
        The images and their reconstructions, or None.
    """
    if aside is None:
        return None
    observed = view.observation
    labels = BatchLabels(
        aside.retained.labels.view(aside.batches, -1), aside.forgotten.labels.view(aside.batches, -1)
    )
    control_view = replace(
        view, observation=_observe_aside(view, aside, defenses, seed), labels=view.labels and labels
    )
    reconstruction = run.stage(
        "reconstructions-control",
        BatchReconstruction,
        lambda _: attack(control_view, generator=make_generator(seed, "attack")),
        key=(observed, view.public, aside, [*defenses], *key),
    )
    return Control(aside.forgotten, reconstruction)


def _observe_aside(
    view: ServerView, aside: Aside, defenses: Sequence[DefenseConfig], seed: int
) -> Observation:
    """Compute the gradients of the kept-aside batches at both models, defended like those of the clients."""
    observed = view.observation
    clean = observe(
        view.architecture,
        observed.before,
        observed.after,
        aside.retained,
        aside.forgotten,
        batches=aside.batches,
        local_steps=observed.local_steps,
        learning_rate=observed.learning_rate,
    )
    components = [defense.build() for defense in defenses]
    generator = make_generator(seed, "defend", "positive control")
    return replace(
        clean,
        gradients_before=apply_defenses(clean.gradients_before, components, generator=generator),
        gradients_after=apply_defenses(clean.gradients_after, components, generator=generator),
    )
