"""The server's side of an audit: what it observes of the unlearning clients, and what it makes of that."""

from dataclasses import dataclass, replace

from torch import Tensor

from palimpsest.attacks import BatchLabels, BatchReconstruction, Knowledge, ServerAttack, ServerView
from palimpsest.config import AttackingConfig, AuditConfig
from palimpsest.datasets import ImageSet
from palimpsest.defenses import apply_defenses
from palimpsest.federation import Federation, Observation, Training, observe, parameter_distance
from palimpsest.metrics import Measured, in_order, label_recovery, measure
from palimpsest.randomness import make_generator
from palimpsest.records import Parameters
from palimpsest.runs import Run
from palimpsest.unlearning import Request, Unlearning, deal_remaining


@dataclass(frozen=True)
class Served:
    """What the server recovered.

    Args:
        reconstruction: The attack's, its images paired with the originals batch by batch.
        remaining: How close the samples that stay were reconstructed, or none where the attack does without them.
        prior: How close the images were already that the attack started from, or none where it started from noise.
        labels_right: The share of the forgotten samples' classes that the attack had right.
        moved: The L2 distance of the parameters before and after unlearning.
    """

    reconstruction: BatchReconstruction
    remaining: Measured | None
    prior: Measured | None
    labels_right: float
    moved: float


def attack_from_server(
    run: Run,
    federation: Federation,
    config: AuditConfig,
    request: Request,
    original: Training,
    unlearned: Unlearning,
) -> Served:
    """Observe the unlearning clients, attack, and pair what comes back with the originals."""
    seen, train = config.observation, federation.data.train
    rows = deal_remaining(request, remaining=seen.remaining, forgotten=seen.forgotten, seed=config.seed)
    remaining, forgotten = train.subset(rows), train.subset(request.rows)
    key = (original, unlearned, remaining, forgotten, seen, config.defenses, config.seed)
    observation = run.stage(
        "observation",
        Observation,
        lambda _: observe_clients(
            federation, config, original.parameters, unlearned.parameters, remaining, forgotten
        ),
        key=key,
    )
    view = server_view(federation, config, observation, remaining, forgotten)
    attack = config.attack.components["name"]
    # The attack is given the view alone: gradients, parameters, public images, and labels if it says so.
    recovered = run.stage(
        "reconstructions",
        BatchReconstruction,
        lambda _: attack(view, generator=make_generator(config.seed, "attack")),
        key=(observation, view.public, remaining.labels, forgotten.labels, config.attack, config.seed),
    )
    paired = in_order(recovered.images, forgotten.images, batch=seen.forgotten)
    return Served(
        reconstruction=replace(recovered, images=paired),
        remaining=measure_part(
            run, config, "remaining", recovered.remaining, remaining, batch=seen.remaining
        ),
        prior=measure_part(run, config, "prior", recovered.prior, forgotten, batch=seen.forgotten),
        labels_right=label_recovery(recovered.labels, forgotten.labels, batch=seen.forgotten),
        moved=parameter_distance(original.parameters, unlearned.parameters, federation.network()),
    )


def observe_clients(
    federation: Federation,
    config: AuditConfig,
    before: Parameters,
    after: Parameters,
    remaining: ImageSet,
    forgotten: ImageSet,
) -> Observation:
    """The batches' gradients before and after unlearning, with every defence applied as to proofs.

    Args:
        federation: Whose architecture it is.
        config: The batches' sizes, and the defences.
        before: The global model before unlearning.
        after: The unlearned one.
        remaining: The samples that stay, batch by batch.
        forgotten: The samples that are unlearned, batch by batch.
    """
    seen = config.observation
    clean = observe(
        federation.network(),
        before,
        after,
        remaining,
        forgotten,
        batches=len(forgotten) // seen.forgotten,
        local_steps=seen.local_steps,
        learning_rate=seen.learning_rate,
    )
    defenses = [defense.components["name"] for defense in config.defenses]
    generator = make_generator(config.seed, "defend", "observation")
    return replace(
        clean,
        gradients_before=apply_defenses(clean.gradients_before, defenses, generator=generator),
        gradients_after=apply_defenses(clean.gradients_after, defenses, generator=generator),
    )


def server_view(
    federation: Federation,
    config: AuditConfig,
    observation: Observation,
    remaining: ImageSet,
    forgotten: ImageSet,
) -> ServerView:
    """What the attack is given: labels only if it declares that it knows them."""
    attack = config.attack.components["name"]
    assert isinstance(attack, ServerAttack), "an auditor's attack has another view"
    batches = len(observation.gradients_before)
    labels = BatchLabels(remaining.labels.view(batches, -1), forgotten.labels.view(batches, -1))
    return ServerView(
        observation=observation,
        architecture=federation.network().to("meta"),
        public=federation.data.public,
        labels=labels if Knowledge.LABELS in attack.knowledge else None,
        device=federation.device,
        memory_budget=config.memory_budget,
    )


def measure_part(
    run: Run, config: AttackingConfig, name: str, images: Tensor, originals: ImageSet, *, batch: int
) -> Measured | None:
    """The stage of this name: images that an attack made or used on the way beside the originals, if there are any.

    Args:
        run: The run.
        config: Its configuration.
        name: The stage's.
        images: `[b * batch, channels, height, width]`, or none at all.
        originals: The same batches.
        batch: Samples of a batch.
    """
    if not len(images):
        return None
    paired, scoring = in_order(images, originals.images, batch=batch), config.scoring
    return run.stage(
        name,
        Measured,
        lambda _: measure(
            paired,
            originals.images,
            lpips_network=scoring.lpips_network,
            bootstrap=scoring.bootstrap,
            generator=make_generator(config.seed, "bootstrap", name),
        ),
        key=(paired, originals, scoring, config.seed),
    )
