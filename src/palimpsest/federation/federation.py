"""Federations (data, model and settings), and training from initialization."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from palimpsest.config import FederationConfig, ModelConfig
from palimpsest.datasets import FederatedData
from palimpsest.errors import FederationError
from palimpsest.federation.accounting import merged
from palimpsest.federation.aggregation import Aggregation, Aggregator
from palimpsest.federation.client import LocalTraining, snapshot
from palimpsest.federation.dp_sgd import DPSGD, check_private
from palimpsest.federation.engine import connect
from palimpsest.federation.rounds import Plan, Training, run_rounds
from palimpsest.federation.schedule import Schedule, draw_schedule
from palimpsest.federation.work import Work
from palimpsest.models import build_model


@dataclass(frozen=True)
class Federation:
    """Data, model and settings that training and unlearning share.

    Args:
        data: Images, and the rows that each client holds.
        model: Architecture.
        config: Settings of the federation.
        seed: Seed of initialization, sampling and shuffles, each with a separate stream.
        device: Torch device on which clients compute and models are evaluated.
    """

    data: FederatedData
    model: ModelConfig
    config: FederationConfig
    seed: int
    device: str = "cpu"

    @property
    def aggregation(self) -> Aggregation:
        """Configured aggregation of replies."""
        component = self.config.build_aggregation()
        assert isinstance(component, Aggregation)
        return component

    def network(self) -> nn.Module:
        """Return the model at its initialization."""
        train = self.data.train
        return build_model(self.model, shape=train.shape, classes=train.classes, seed=self.seed)

    @property
    def dp(self) -> DPSGD | None:
        """Settings of DP-SGD at the clients.

        None without DP-SGD.

        Raises:
            ModelError: DP-SGD can't train the model.
        """
        config = self.config
        if config.dp_noise_multiplier is None:
            return None
        check_private(self.network())
        return DPSGD(clip=config.dp_clip, noise_multiplier=config.dp_noise_multiplier)

    def local_training(self) -> LocalTraining:
        """Return the clients' work in a training round."""
        return LocalTraining(
            epochs=self.config.local_epochs,
            batch_size=self.config.batch_size,
            learning_rate=self.config.learning_rate,
            momentum=self.config.momentum,
            weight_decay=self.config.weight_decay,
            proximal_mu=self.aggregation.client_proximal_mu,
            dp=self.dp,
        )

    def schedule(self, *, ensure: Sequence[int] = ()) -> Schedule:
        """Draw the clients of each round.

        Args:
            ensure: Clients that must train at least once.

        Returns:
            The clients of each round.

        Raises:
            FederationError: A round has fewer clients than `federation.minimum_replies`, or the rounds have too few
                places for the clients in `ensure`.
        """
        config = self.config
        schedule = draw_schedule(
            config.clients, config.fraction, config.rounds, seed=self.seed, ensure=tuple(ensure)
        )
        size = len(schedule.rounds[0])
        if size < config.minimum_replies:
            raise FederationError(
                f"federation.minimum_replies is {config.minimum_replies}, but a round has {size} clients. "
                "Lower it, or raise federation.fraction."
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
            title: Label of the progress line, which also names the noise of DP-SGD: each title has its own.
            clients: Rows of the training images that each client holds.
            schedule: Clients of each round.
            start: First global model, which is overwritten. If omitted, the model at its initialization.
            work: The clients' work. If omitted, local training.
            aggregation: Aggregation of their replies. If omitted, the configured one.
            minimum_replies: Usable replies that a round needs. If omitted, `federation.minimum_replies`.
            scratch: Folder that stores each finished round. If omitted, rounds are not stored.
            history: Folder for the clients' updates. If omitted, updates are not stored.

        Returns:
            The global model after the last round, the record of the rounds, and the releases of DP-SGD.

        Raises:
            FederationError: The engine did not start, or a round had too few replies.
            DivergenceError: No reply was finite, or the global model is not.
            RunError: `scratch` holds the rounds of another training.
        """
        model = start or self.network()
        parameters = snapshot(model)
        task = (work or self.local_training()).in_stream(title)
        plan = Plan(
            title=title,
            clients=len(clients),
            schedule=schedule,
            work=task,
            aggregation=aggregation or self.aggregation,
            trainable=tuple(name for name, _ in model.named_parameters()),
            seed=self.seed,
            minimum_replies=minimum_replies or self.config.minimum_replies,
            attempts=self.config.attempts,
        )
        with connect(self.config.engine, model, self.data.train, clients, device=self.device) as backend:
            training = run_rounds(plan, backend, parameters, scratch=scratch, history=history)
        made = [
            task.release(client, len(clients[client]))
            for finished in training.rounds
            for client in finished.drawn
            if len(clients[client])
        ]
        return replace(training, releases=merged(release for release in made if release is not None))


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
        clients: Rows of the training images that each client holds. If omitted, those of the data.
        ensure: Clients that must take part in at least one round.
        scratch: Folder that stores each finished round, so that a killed server resumes after it. If omitted, rounds
            are not stored.
        history: Folder for every client's updates, for an unlearning method that needs them. If omitted, updates are
            not stored.

    Returns:
        The global model after the last round, and the record of the rounds. The same arguments give the same bits.

    Raises:
        FederationError: The data have another number of clients, the engine is unknown, a round had too few replies,
            or the rounds have too few places for the clients in `ensure`.
        DivergenceError: The model is no longer finite.
        RunError: `scratch` holds the rounds of another training.
    """
    rows = federation.data.clients if clients is None else clients
    expected = federation.config.clients
    if len(rows) != expected:
        raise FederationError(
            f"The data are split among {len(rows)} clients, but federation.clients is {expected}. "
            f"Load the data for {expected} clients."
        )
    return federation.run("train", rows, federation.schedule(ensure=ensure), scratch=scratch, history=history)
