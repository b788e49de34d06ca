"""A federation: data, a model and settings together; and training it from the beginning."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from palimpsest.config import FederationConfig, ModelConfig
from palimpsest.datasets import FederatedData
from palimpsest.errors import FederationError
from palimpsest.federation.aggregation import Aggregation, Aggregator
from palimpsest.federation.client import LocalTraining, Work, snapshot
from palimpsest.federation.engine import connect
from palimpsest.federation.rounds import Plan, Training, run_rounds
from palimpsest.federation.schedule import Schedule, draw_schedule
from palimpsest.models import build_model


@dataclass(frozen=True)
class Federation:
    """Who trains what, and how: all that training and unlearning share.

    Args:
        data: The images, and which rows each client holds.
        model: The architecture.
        config: The settings.
        seed: Initialization, sampling and shuffles follow from it, each on a stream of its own.
        device: Where clients compute.
    """

    data: FederatedData
    model: ModelConfig
    config: FederationConfig
    seed: int
    device: str = "cpu"

    @property
    def aggregation(self) -> Aggregation:
        """What the server does with replies."""
        component = self.config.build_aggregation()
        assert isinstance(component, Aggregation)
        return component

    def network(self) -> nn.Module:
        """The model at its initialization."""
        train = self.data.train
        return build_model(self.model, shape=train.shape, classes=train.classes, seed=self.seed)

    def local_training(self) -> LocalTraining:
        """What clients do in a round of training."""
        return LocalTraining(
            epochs=self.config.local_epochs,
            batch_size=self.config.batch_size,
            learning_rate=self.config.learning_rate,
            momentum=self.config.momentum,
            weight_decay=self.config.weight_decay,
            proximal_mu=self.aggregation.local_pull,
        )

    def schedule(self, *, ensure: Sequence[int] = ()) -> Schedule:
        """Who trains in which round.

        Args:
            ensure: Clients that train at least once.

        Raises:
            FederationError: A round never has as many clients as it needs, or there is no place for one in
                `ensure`.
        """
        config = self.config
        schedule = draw_schedule(
            config.clients, config.fraction, config.rounds, seed=self.seed, ensure=tuple(ensure)
        )
        size = len(schedule.rounds[0])
        if size < config.minimum_replies:
            raise FederationError(
                f"federation.minimum_replies is {config.minimum_replies}, but a round has {size} clients: "
                "lower it, or raise federation.fraction."
            )
        return schedule

    def run(
        self,
        title: str,
        clients: Sequence[Tensor],
        schedule: Schedule,
        *,
        start: nn.Module | None = None,
        work: Work | None = None,
        aggregation: Aggregator | None = None,
        minimum_replies: int | None = None,
        scratch: Path | None = None,
        history: Path | None = None,
    ) -> Training:
        """Run rounds on the configured engine.

        Args:
            title: What the progress line says.
            clients: Each client's rows of the training images.
            schedule: Who works in which round.
            start: The first global model, overwritten; none starts at the initialization.
            work: What clients do; none is local training.
            aggregation: What becomes of their replies; none is the configured one.
            minimum_replies: How many replies a round needs; none is the configured number.
            scratch: Where finished rounds are kept.
            history: Where clients' updates are kept.

        Raises:
            FederationError: See `run_rounds`, as for the other errors.
        """
        model = start or self.network()
        parameters = snapshot(model)
        plan = Plan(
            title=title,
            clients=len(clients),
            schedule=schedule,
            work=work or self.local_training(),
            aggregation=aggregation or self.aggregation,
            trainable=tuple(name for name, _ in model.named_parameters()),
            seed=self.seed,
            minimum_replies=minimum_replies or self.config.minimum_replies,
            attempts=self.config.attempts,
        )
        with connect(self.config.engine, model, self.data.train, clients, device=self.device) as backend:
            return run_rounds(plan, backend, parameters, scratch=scratch, history=history)


def train(
    federation: Federation,
    *,
    clients: Sequence[Tensor] | None = None,
    ensure: Sequence[int] = (),
    scratch: Path | None = None,
    history: Path | None = None,
) -> Training:
    """Train a model from its initialization (IGF, section 3.1, Federated Learning).

    Args:
        federation: Data, model and settings.
        clients: Each client's rows of the training images; None takes those of the data.
        ensure: Clients that take part in at least one round.
        scratch: A folder that keeps each finished round, so that a killed server resumes after it.
        history: A folder for every client's updates, for an unlearning method that needs them.

    Returns:
        The global model after the last round. The same arguments give the same bits.

    Raises:
        FederationError: The data have another number of clients, the engine is unknown, a round had too
            few replies, or there is no place for a client in `ensure`.
        DivergenceError: The model stopped being finite.
        RunError: `scratch` holds the rounds of another training.
    """
    rows = federation.data.clients if clients is None else clients
    expected = federation.config.clients
    if len(rows) != expected:
        raise FederationError(
            f"The data are dealt to {len(rows)} clients, but federation.clients is {expected}: load them for that many."
        )
    return federation.run("train", rows, federation.schedule(ensure=ensure), scratch=scratch, history=history)
