"""The server's side of an audit: what it observes of the unlearning clients, and what it makes of that."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from palimpsest.attacks import BatchLabels, BatchReconstruction, Knowledge, ServerAttack, ServerView
from palimpsest.config import AttackingConfig, AuditConfig, DefenseConfig
from palimpsest.datasets import ImageSet
from palimpsest.defenses import apply_defenses
from palimpsest.federation import Federation, Observation, Training, observe, parameter_distance
from palimpsest.metrics import Measured, in_order, label_recovery, measure
from palimpsest.randomness import make_generator
from palimpsest.runs import Run
from palimpsest.storage import Parameters
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
        undefended: The same attack's images of what the clients had before their defences; none without defences.
    """

    reconstruction: BatchReconstruction
    remaining: Measured | None
    prior: Measured | None
    labels_right: float
    moved: float
    undefended: BatchReconstruction | None = None


def attack_from_server(
    run: Run,
    federation: Federation,
    config: AuditConfig,
    request: Request,
    original: Training,
    unlearned: Unlearning,
) -> Served:
    """Observe the unlearning clients, attack, and pair what comes back with the originals."""
    seen = config.observation
    remaining, forgotten = deal_batches(federation, config, request)
    attack = config.attack.components["name"]

    def recover(defenses: Sequence[DefenseConfig], suffix: str = "") -> BatchReconstruction:
        """What the attack makes of gradients with these defences, paired with the originals."""
        observation = run.stage(
            f"observation{suffix}",
            Observation,
            lambda _: observe_clients(
                federation,
                config,
                original.parameters,
                unlearned.parameters,
                remaining,
                forgotten,
                defenses=defenses,
            ),
            key=(original, unlearned, remaining, forgotten, seen, defenses, config.seed),
        )
        view = server_view(federation, config, observation, remaining, forgotten)
        # The attack is given the view alone: gradients, parameters, public images, and labels if it says so.
        recovered = run.stage(
            f"reconstructions{suffix}",
            BatchReconstruction,
            lambda _: attack(view, generator=make_generator(config.seed, "attack")),
            key=(observation, view.public, remaining.labels, forgotten.labels, config.attack, config.seed),
        )
        return replace(recovered, images=in_order(recovered.images, forgotten.images, batch=seen.forgotten))

    recovered = recover(config.defenses)
    return Served(
        reconstruction=recovered,
        remaining=measure_part(
            run, config, "remaining", recovered.retained, remaining, batch=seen.remaining
        ),
        prior=measure_part(run, config, "prior", recovered.prior, forgotten, batch=seen.forgotten),
        labels_right=label_recovery(recovered.labels, forgotten.labels, batch=seen.forgotten),
        moved=parameter_distance(original.parameters, unlearned.parameters, federation.network()),
        undefended=recover((), "-undefended") if config.defenses else None,
    )


def deal_batches(federation: Federation, config: AuditConfig, request: Request) -> tuple[ImageSet, ImageSet]:
    """The samples of the observed batches: those that stay, and the forgotten ones.

    Args:
        federation: Whose samples they are.
        config: The batches' sizes, and the seed.
        request: What is forgotten.
    """
    seen, train = config.observation, federation.data.train
    rows = deal_remaining(request, remaining=seen.remaining, forgotten=seen.forgotten, seed=config.seed)
    return train.subset(rows), train.subset(request.rows)


def observe_clients(
    federation: Federation,
    config: AuditConfig,
    before: Parameters,
    after: Parameters,
    remaining: ImageSet,
    forgotten: ImageSet,
    *,
    defenses: Sequence[DefenseConfig],
) -> Observation:
    """The batches' gradients before and after unlearning, with every defence applied as to proofs.

    Args:
        federation: Whose architecture it is.
        config: The batches' sizes, and the seed.
        before: The global model before unlearning.
        after: The unlearned one.
        remaining: The samples that stay, batch by batch.
        forgotten: The samples that are unlearned, batch by batch.
        defenses: What is done to the gradients, in order.
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
    components = [defense.components["name"] for defense in defenses]
    generator = make_generator(config.seed, "defend", "observation")
    return replace(
        clean,
        gradients_before=apply_defenses(clean.gradients_before, components, generator=generator),
        gradients_after=apply_defenses(clean.gradients_after, components, generator=generator),
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
