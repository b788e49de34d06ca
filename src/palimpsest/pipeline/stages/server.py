"""Stages of the server's attack on the gradients of batches that it observes."""

from collections.abc import Sequence
from dataclasses import replace

from palimpsest.attacks import (
    BatchLabels,
    BatchReconstruction,
    GaussianMechanism,
    Knowledge,
    MatchingAttack,
    ServerAttack,
    ServerView,
)
from palimpsest.config import AttackConfig, AuditConfig, DefenseConfig
from palimpsest.datasets import ImageSet
from palimpsest.defenses import apply_defenses, published_noise
from palimpsest.federation import Federation, Observation, Training, observe
from palimpsest.pipeline.stages.control_server import attack_batches_aside, keep_batches_aside
from palimpsest.pipeline.stages.recovered import Recovered
from palimpsest.randomness import make_generator
from palimpsest.runs import Run
from palimpsest.storage import Parameters
from palimpsest.unlearning import Request, Unlearning, deal_retained


def attack_as_server(
    run: Run,
    config: AuditConfig,
    federation: Federation,
    *,
    original: Training,
    unlearned: Unlearning,
    retained: ImageSet,
    forgotten: ImageSet,
) -> Recovered:
    """Compute the gradients that the server observes from the unlearning clients, and attack them.

    Args:
        run: The run that stores the stages.
        config: Attack, defenses, batch sizes and seed.
        federation: The federation of the clients.
        original: The model before unlearning.
        unlearned: The model after unlearning.
        retained: The retained samples of the batches; only the clients use their images.
        forgotten: The forgotten samples of the batches; only the clients use their images.

    Returns:
        The reconstructions; with defenses also those from the gradients before the defenses.
    """
    attack = config.attack.build()

    def recover(defenses: Sequence[DefenseConfig], suffix: str = "") -> Recovered:
        observation = run.stage(
            f"observation{suffix}",
            Observation,
            lambda _: observe_clients(
                federation,
                config,
                original.parameters,
                unlearned.parameters,
                retained,
                forgotten,
                defenses=defenses,
            ),
            key=(original, unlearned, retained, forgotten, config.observation, defenses, config.seed),
        )
        view = server_view(federation, config, observation, retained, forgotten, defenses=defenses)
        view, aside = keep_batches_aside(view, attack.control_size, seed=config.seed)
        key = (retained.labels, forgotten.labels, _effective(config.attack, view), config.seed)
        # The attack gets only the view: gradients, parameters, public images, and labels if it declares them.
        recovered = run.stage(
            f"reconstructions{suffix}",
            BatchReconstruction,
            lambda _: attack(view, generator=make_generator(config.seed, "attack")),
            key=(observation, view.public, view.mechanism, *key),
        )
        if suffix:
            return Recovered(recovered)
        control = attack_batches_aside(run, view, attack, aside, defenses, seed=config.seed, key=key)
        return Recovered(recovered, control=control)

    main = recover(config.defenses)
    if not config.defenses:
        return main
    return replace(main, others={"undefended": recover((), "-undefended").reconstruction})


def _effective(settings: AttackConfig, view: ServerView) -> AttackConfig:
    """Return settings that decide the result: without noise its treatment does not, so runs share the result."""
    if view.mechanism is None and isinstance(settings.build(), MatchingAttack):
        return settings.model_copy(update={"noise": "ignored"})
    return settings


def deal_batches(federation: Federation, config: AuditConfig, request: Request) -> tuple[ImageSet, ImageSet]:
    """Select the samples of the observed batches.

    Args:
        federation: The federation that holds the samples.
        config: Batch sizes and seed.
        request: The samples to forget.

    Returns:
        The retained and the forgotten samples, each batch by batch.
    """
    sizes, train = config.observation, federation.data.train
    rows = deal_retained(request, retained=sizes.retained, forgotten=sizes.forgotten, seed=config.seed)
    return train.subset(rows), train.subset(request.rows)


def observe_clients(
    federation: Federation,
    config: AuditConfig,
    before: Parameters,
    after: Parameters,
    retained: ImageSet,
    forgotten: ImageSet,
    *,
    defenses: Sequence[DefenseConfig],
) -> Observation:
    """Compute the batches' gradients before and after unlearning, and defend them like proofs.

    Args:
        federation: The federation with the model's architecture.
        config: Batch sizes, local steps and seed.
        before: Parameters of the global model before unlearning.
        after: Parameters of the unlearned model.
        retained: The retained samples, batch by batch.
        forgotten: The forgotten samples, batch by batch.
        defenses: The defenses, in the order in which they are applied.

    Returns:
        The parameters and gradients that the server observes.
    """
    settings = config.observation
    clean = observe(
        federation.network(),
        before,
        after,
        retained,
        forgotten,
        batches=len(forgotten) // settings.forgotten,
        local_steps=settings.local_steps,
        learning_rate=settings.learning_rate,
    )
    components = [defense.build() for defense in defenses]
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
    retained: ImageSet,
    forgotten: ImageSet,
    *,
    defenses: Sequence[DefenseConfig],
) -> ServerView:
    """Build the view that the attack receives, with labels and the noise's settings only if it declares them.

    Args:
        federation: The federation with the architecture and the public images.
        config: The attack.
        observation: The observed gradients.
        retained: The retained samples, of which only the labels are used.
        forgotten: The forgotten samples, of which only the labels are used.
        defenses: The defenses of the observed gradients.
    """
    attack = config.attack.build()
    assert isinstance(attack, ServerAttack), "auditor attacks use another view"
    batches = len(observation.gradients_before)
    labels = BatchLabels(retained.labels.view(batches, -1), forgotten.labels.view(batches, -1))
    noise = published_noise([defense.build() for defense in defenses])
    return ServerView(
        observation=observation,
        architecture=federation.network().to("meta"),
        public=federation.data.public,
        labels=labels if Knowledge.LABELS in attack.knowledge else None,
        device=federation.device,
        memory_budget=config.memory_budget,
        mechanism=GaussianMechanism(*noise) if noise and Knowledge.NOISE in attack.knowledge else None,
    )


def unlabeled_view(
    federation: Federation, config: AuditConfig, request: Request, before: Parameters, after: Parameters
) -> tuple[ServerView, ImageSet]:
    """Build the view of a server that knows neither labels nor the noise's settings, for tables of several attacks.

    Args:
        federation: The federation that holds the samples.
        config: Batch sizes, local steps, defenses and seed.
        request: The samples to forget.
        before: Parameters of the global model before unlearning.
        after: Parameters of the unlearned model.

    Returns:
        The view, and the forgotten samples, batch by batch, for scoring.
    """
    retained, forgotten = deal_batches(federation, config, request)
    observation = observe_clients(
        federation, config, before, after, retained, forgotten, defenses=config.defenses
    )
    view = ServerView(
        observation=observation,
        architecture=federation.network().to("meta"),
        public=federation.data.public,
        labels=None,
        device=federation.device,
        memory_budget=config.memory_budget,
    )
    return view, forgotten
