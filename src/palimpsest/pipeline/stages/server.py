"""The server's attack on the batches' gradients that it observes."""

from collections.abc import Sequence
from dataclasses import replace

from palimpsest.attacks import BatchLabels, BatchReconstruction, Knowledge, ServerAttack, ServerView
from palimpsest.config import AuditConfig, DefenseConfig
from palimpsest.datasets import ImageSet
from palimpsest.defenses import apply_defenses
from palimpsest.federation import Federation, Observation, Training, observe
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
    """Observe the unlearning clients' batches, and attack what the server sees of them.

    Args:
        run: Where the stages are kept.
        config: Attack, defenses, batches and seed.
        federation: The clients.
        original: The model before unlearning.
        unlearned: The model after unlearning.
        retained: The retained samples of the batches; the clients alone use them.
        forgotten: The forgotten samples of the batches; the clients alone use them.
    """
    attack = config.attack.build()

    def recover(defenses: Sequence[DefenseConfig], suffix: str = "") -> BatchReconstruction:
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
        view = server_view(federation, config, observation, retained, forgotten)
        # The attack receives the view alone: gradients, parameters, public images, and labels if it declares them.
        return run.stage(
            f"reconstructions{suffix}",
            BatchReconstruction,
            lambda _: attack(view, generator=make_generator(config.seed, "attack")),
            key=(observation, view.public, retained.labels, forgotten.labels, config.attack, config.seed),
        )

    recovered = recover(config.defenses)
    return Recovered(recovered, {"undefended": recover((), "-undefended")} if config.defenses else {})


def deal_batches(federation: Federation, config: AuditConfig, request: Request) -> tuple[ImageSet, ImageSet]:
    """The samples of the observed batches: those that stay, and the forgotten ones.

    Args:
        federation: Whose samples they are.
        config: The batches' sizes, and the seed.
        request: What is forgotten.
    """
    seen, train = config.observation, federation.data.train
    rows = deal_retained(request, retained=seen.retained, forgotten=seen.forgotten, seed=config.seed)
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
    """The batches' gradients before and after unlearning, with every defense applied as to proofs.

    Args:
        federation: Whose architecture it is.
        config: The batches' sizes, and the seed.
        before: The global model before unlearning.
        after: The unlearned one.
        retained: The samples that stay, batch by batch.
        forgotten: The samples that are unlearned, batch by batch.
        defenses: What is done to the gradients, in order.
    """
    seen = config.observation
    clean = observe(
        federation.network(),
        before,
        after,
        retained,
        forgotten,
        batches=len(forgotten) // seen.forgotten,
        local_steps=seen.local_steps,
        learning_rate=seen.learning_rate,
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
) -> ServerView:
    """What the attack is given: labels only if it declares that it knows them."""
    attack = config.attack.build()
    assert isinstance(attack, ServerAttack), "an auditor's attack has another view"
    batches = len(observation.gradients_before)
    labels = BatchLabels(retained.labels.view(batches, -1), forgotten.labels.view(batches, -1))
    return ServerView(
        observation=observation,
        architecture=federation.network().to("meta"),
        public=federation.data.public,
        labels=labels if Knowledge.LABELS in attack.knowledge else None,
        device=federation.device,
        memory_budget=config.memory_budget,
    )
