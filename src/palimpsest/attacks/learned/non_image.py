"""Learned inversion of samples other than images: base of the attacks on rows and on tokens (IGF, section 3.2)."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn

from palimpsest.attacks.auditor_view import Attack, AuditorView, Knowledge, Reconstruction
from palimpsest.attacks.learned.extractors import fit_reduction
from palimpsest.attacks.learned.training import (
    History,
    Training,
    global_seed,
    make_fabric,
    mean_over_pairs,
    refreshed_pairs,
    train,
)
from palimpsest.gradients import collect
from palimpsest.randomness import fork

_TINY = 1e-6
# Standardized features beyond this bound come from vectors unlike the auditor's.
_LARGEST = 1e4


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of each column.

    Args:
        mean: `[k]`.
        deviation: `[k]`; 1 for a constant column.
    """

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, values: Tensor) -> "Scale":
        """Compute the scale of the columns of `[m, k]`."""
        deviation = values.std(0, correction=0)
        return cls(values.mean(0), torch.where(deviation > _TINY, deviation, torch.ones_like(deviation)))

    def standardize(self, values: Tensor) -> Tensor:
        """Map `[n, k]` to columns of mean 0 and deviation 1."""
        return (values - self.mean) / self.deviation

    def restore(self, values: Tensor) -> Tensor:
        """Invert `standardize`."""
        return values * self.deviation + self.mean


@dataclass(frozen=True)
class VectorPairs:
    """Standardized features of the auditor's queries, and the standardized targets.

    Args:
        features: `[m, k]`.
        targets: `[m, j]`.
    """

    features: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.features)

    def batches(self, size: int, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features `[b, k]` and targets `[b, j]`; see `TrainingPairs.batches`."""
        for rows in order.split(size):
            yield self.features[rows], self.targets[rows]


class VectorInverter(nn.Module):
    """The sum of a linear map and of a network, which learns what the linear map leaves unexplained.

    Args:
        inputs: Features of a vector.
        outputs: Numbers of a reconstruction.
        hidden: Units of each of the two hidden layers.
        dropout: Share of these units hidden in each step, in [0, 1).
    """

    def __init__(self, inputs: int, outputs: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.network = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, outputs),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map `[n, inputs]` to `[n, outputs]`."""
        return self.linear(features) + self.network(features)


class VectorInversion(Attack):
    """Base of the attacks that learn, from the auditor's samples, to turn a proof back into a vector."""

    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    )

    queries: PositiveInt = 8
    """Queries for each auxiliary sample: the sample itself, then mixtures of it with others of its class."""
    explained_variance: Annotated[float, Field(gt=0, le=1)] = 0.999
    """Share of the variance of the auditor's gradient differences that the projection keeps (Eq. 5)."""
    components: PositiveInt | None = 256
    """Maximum number of directions that are kept; None means no limit."""
    hidden: PositiveInt = 256
    """Units of each of the inverter's two hidden layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of these units hidden in each training step."""
    epochs: PositiveInt = 60
    """Passes over the queries."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Samples in a step."""
    learning_rate: PositiveFloat = 2e-3
    """AdamW's highest learning rate; it falls to zero along a cosine."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """AdamW's weight decay."""
    refreshes: PositiveInt = 10
    """For a stochastic oracle, such as one with a random defense: how often it is queried, spread over the epochs."""

    @abstractmethod
    def mix(self, inputs: Tensor, others: Tensor, generator: Generator) -> Tensor:
        """Make a sample between each of the inputs and its partner.

        Args:
            inputs: `[m, *shape]`.
            others: The partners, in the same order, `[m, *shape]`.
            generator: The attack's randomness.

        Returns:
            `[m, *shape]`.
        """

    @abstractmethod
    def targets(self, samples: Any) -> Tensor:
        """Encode samples as the vectors that the inverter learns to give, `[m, k]`."""

    @abstractmethod
    def read(self, outputs: Tensor, samples: Any) -> Tensor:
        """Decode the inverter's outputs.

        Args:
            outputs: At the scale of the targets, `[n, k]`.
            samples: The auxiliary samples.

        Returns:
            `[n, *shape]`, of the kind and shape of the auxiliary samples.
        """

    def __call__(self, view: AuditorView[Any], *, generator: Generator) -> Reconstruction:
        """Learn from the oracle's answers, then reconstruct the sample behind each proof.

        Args:
            view: Proofs, oracle, and auxiliary samples.
            generator: The attack's randomness.

        Raises:
            DivergenceError: The training loss is not finite.
        """
        samples = self._queries(view, generator)
        answers = _query(view, samples)
        reduction = fit_reduction(
            answers,
            reduction="svd",
            normalize=True,
            explained_variance=self.explained_variance,
            components=self.components,
            memory_budget=view.memory_budget // 2,
            generator=generator,
        )
        features = reduction.transform(answers)
        inputs, targets = Scale.of(features), self.targets(samples)
        outputs = Scale.of(targets)
        pairs = VectorPairs(inputs.standardize(features), outputs.standardize(targets))

        def query_again() -> VectorPairs:
            return replace(pairs, features=inputs.standardize(reduction.transform(_query(view, samples))))

        refreshes = self.refreshes if view.stochastic_oracle else 1
        with global_seed(fork(generator)):
            inverter = VectorInverter(
                features.shape[1], targets.shape[1], hidden=self.hidden, dropout=self.dropout
            )
        history = self._train(
            inverter,
            refreshed_pairs(pairs, query_again, refreshes=refreshes, epochs=self.epochs),
            view.device,
            generator,
        )
        with torch.inference_mode():
            proofs = inputs.standardize(reduction.transform(view.proofs)).clamp(-_LARGEST, _LARGEST)
            reconstructed = outputs.restore(inverter.cpu()(proofs))
        facts = {
            "auxiliary_samples": float(len(view.auxiliary)),
            "queries": float(len(samples)),
            "dimension": float(view.oracle.dimension),
            "features": float(features.shape[1]),
            **reduction.facts,
        }
        return Reconstruction(self.read(reconstructed, view.auxiliary), history, facts)

    def _queries(self, view: AuditorView[Any], generator: Generator) -> Any:
        """The auxiliary samples, then mixtures, as many as the oracle answers."""
        samples, limit = view.auxiliary, view.remaining_queries
        per_sample = self.queries if limit is None else min(self.queries, 1 + limit // len(samples))
        parts = [samples.inputs]
        for _ in range(1, per_sample):
            others = _of_same_class(samples.labels, generator)
            parts.append(self.mix(samples.inputs, samples.inputs[others], generator))
        return replace(
            samples, **{samples.field: torch.cat(parts), "labels": samples.labels.repeat(len(parts))}
        )

    def _train(
        self,
        inverter: VectorInverter,
        training_pairs: Callable[[int], VectorPairs],
        device: str,
        generator: Generator,
    ) -> History:
        """Minimize the mean squared error in place."""
        optimizer = torch.optim.AdamW(
            inverter.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )
        training = Training(
            description="inverter",
            epochs=self.epochs,
            batch_size=self.batch_size,
            loss=F.mse_loss,
            optimizer=optimizer,
            schedule=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs),
            schedule_interval="epoch",
            mean_loss=mean_over_pairs,
            errors=lambda outputs, targets: (outputs - targets).square().mean(1),
            remedy=f"lower attack.learning_rate (now {self.learning_rate})",
            names=("training_loss", "validation_mse"),
        )
        fabric = make_fabric("float32", device)
        with global_seed(fork(generator)):
            return train(inverter, training_pairs, None, training, generator=generator, fabric=fabric)


def _of_same_class(labels: Tensor, generator: Generator) -> Tensor:
    """For each sample a random sample of its class, which may be itself, `[m]`."""
    others = torch.empty_like(labels)
    for label in labels.unique():
        rows = (labels == label).nonzero().flatten()
        others[rows] = rows[torch.randint(len(rows), (len(rows),), generator=generator)]
    return others


def _query(view: AuditorView[Any], samples: Any) -> Tensor:
    """The oracle's gradient differences for samples, `[m, d]`."""
    return collect(
        (chunk.cpu() for chunk in view.oracle.differences(samples.inputs, samples.labels)),
        len(samples),
        view.oracle.dimension,
        memory_budget=view.memory_budget // 2,
        folder=view.scratch,
    )
