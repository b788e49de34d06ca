"""Base class of the learned attacks on samples other than images, such as rows and tokens (IGF, section 3.2)."""

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
# Standardized features are clamped to this bound, which only vectors unlike the auditor's exceed.
_LARGEST = 1e4


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of each column.

    Args:
        mean: Mean of each column, `[k]`.
        deviation: Standard deviation of each column, `[k]`; 1 for a constant column.
    """

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, values: Tensor) -> "Scale":
        """Compute the mean and the standard deviation of the columns of `[m, k]`."""
        deviation = values.std(0, correction=0)
        return cls(values.mean(0), torch.where(deviation > _TINY, deviation, torch.ones_like(deviation)))

    def standardize(self, values: Tensor) -> Tensor:
        """Scale the columns of `[n, k]` to mean 0 and standard deviation 1."""
        return (values - self.mean) / self.deviation

    def restore(self, values: Tensor) -> Tensor:
        """Invert `standardize`."""
        return values * self.deviation + self.mean


@dataclass(frozen=True)
class VectorPairs:
    """Pairs of a query's features and its target, both standardized.

    Args:
        features: Features of the queries, `[m, k]`.
        targets: Targets of the queries, `[m, j]`.
    """

    features: Tensor
    targets: Tensor

    def __len__(self) -> int:
        """Return the number m of pairs."""
        return len(self.features)

    def rows(self, rows: slice) -> "VectorPairs":
        """Select consecutive pairs."""
        return VectorPairs(self.features[rows], self.targets[rows])

    def batches(self, size: int, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features `[b, k]` and targets `[b, j]`; see `TrainingPairs.batches`."""
        for rows in order.split(size):
            yield self.features[rows], self.targets[rows]


class VectorInverter(nn.Module):
    """Sum of a linear map and a network that learns the linear map's residual.

    Args:
        inputs: Number of features.
        outputs: Number of coordinates of a reconstruction.
        hidden: Units of each of the two hidden layers.
        dropout: Share of the hidden units that are dropped in each training step, in [0, 1).
    """

    def __init__(self, inputs: int, outputs: int, *, hidden: int, dropout: float) -> None:
        """Build the layers with fresh weights."""
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
        """Map features `[n, inputs]` to reconstructions `[n, outputs]`."""
        return self.linear(features) + self.network(features)


class VectorInversion(Attack):
    """Base class of the attacks that train a network on the auditor's samples to reconstruct rows or tokens."""

    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    )

    queries: PositiveInt = 8
    """Queries for each auxiliary sample: the sample itself, then mixtures with other samples of its class."""
    explained_variance: Annotated[float, Field(gt=0, le=1)] = 0.999
    """Share of the variance of the auditor's gradient differences that the projection keeps (IGF, Eq. 5)."""
    components: PositiveInt | None = 256
    """Maximum number of principal directions that are kept; None means an unlimited number."""
    hidden: PositiveInt = 256
    """Units of each of the inverter's two hidden layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the hidden units that are dropped in each training step."""
    epochs: PositiveInt = 60
    """Maximum number of training epochs, which are passes over the queries."""
    patience: PositiveInt | None = 10
    """Epochs without a smaller error on the validation samples after which the training stops; the weights of the best
    epoch are kept. None trains all epochs and keeps the last weights."""
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the auxiliary samples that are held out for validation; the network is not trained on them."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Samples in a training step."""
    learning_rate: PositiveFloat = 2e-3
    """AdamW's initial learning rate; it decays to zero along a cosine."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """AdamW's weight decay."""
    refreshes: PositiveInt = 10
    """Times that a stochastic oracle, such as one with a random defense, is queried, spread evenly over the epochs."""

    @abstractmethod
    def mix(self, inputs: Tensor, others: Tensor, generator: Generator) -> Tensor:
        """Mix each sample with its partner.

        Args:
            inputs: Samples, `[m, *shape]`.
            others: Partners of the samples, in the same order, `[m, *shape]`.
            generator: Source of the attack's randomness.

        Returns:
            The mixtures, `[m, *shape]`.
        """

    @abstractmethod
    def targets(self, samples: Any) -> Tensor:
        """Encode samples as the vectors that the inverter is trained to output, `[m, j]`."""

    @abstractmethod
    def decode(self, outputs: Tensor, samples: Any) -> Tensor:
        """Decode the inverter's outputs, the inverse of `targets`.

        Args:
            outputs: Outputs on the scale of the targets, `[n, j]`.
            samples: The auxiliary samples.

        Returns:
            Samples of the same kind as the auxiliary samples, `[n, *shape]`.
        """

    def __call__(self, view: AuditorView[Any], *, generator: Generator) -> Reconstruction:
        """Train on the oracle's answers, then reconstruct the sample behind each proof.

        Args:
            view: Proofs, oracle, and auxiliary samples.
            generator: Source of the attack's randomness.

        Returns:
            One sample for each proof, in the order of the proofs.

        Raises:
            DivergenceError: The training loss is not finite.
        """
        samples, held_out = self._queries(view, generator)
        answers = _query(view, samples)
        training = slice(len(samples) - held_out)
        reduction = fit_reduction(
            answers[training],
            reduction="svd",
            normalize=True,
            explained_variance=self.explained_variance,
            components=self.components,
            memory_budget=view.memory_budget // 2,
            generator=generator,
        )
        features, targets = reduction.transform(answers), self.targets(samples)
        inputs, outputs = Scale.of(features[training]), Scale.of(targets[training])
        pairs = VectorPairs(inputs.standardize(features), outputs.standardize(targets))
        validation = pairs.rows(slice(len(samples) - held_out, len(samples)))
        pairs = pairs.rows(training)

        def query_again() -> VectorPairs:
            renewed = reduction.transform(_query(view, samples))[training]
            return replace(pairs, features=inputs.standardize(renewed))

        refreshes = self.refreshes if view.stochastic_oracle else 1
        with global_seed(fork(generator)):
            inverter = VectorInverter(
                features.shape[1], targets.shape[1], hidden=self.hidden, dropout=self.dropout
            )
        history = self._train(
            inverter,
            refreshed_pairs(pairs, query_again, refreshes=refreshes, epochs=self.epochs),
            validation,
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
        return Reconstruction(self.decode(reconstructed, view.auxiliary), history, facts)

    def _queries(self, view: AuditorView[Any], generator: Generator) -> tuple[Any, int]:
        """Return the training samples, as many mixtures of them as the oracle's limit allows, and the held-out samples.

        The second value is the number of held-out samples, which come last.
        """
        auxiliary, limit = view.auxiliary, view.remaining_queries
        held_out = int(len(auxiliary) * self.validation)
        order = (
            torch.randperm(len(auxiliary), generator=generator) if held_out else torch.arange(len(auxiliary))
        )
        samples = auxiliary.subset(order[held_out:])
        per_sample = self.queries if limit is None else min(self.queries, 1 + limit // len(samples))
        parts = [samples.inputs]
        for _ in range(1, per_sample):
            others = _of_same_class(samples.labels, generator)
            parts.append(self.mix(samples.inputs, samples.inputs[others], generator))
        last = auxiliary.subset(order[:held_out])
        labels = torch.cat([samples.labels.repeat(per_sample), last.labels])
        return replace(
            samples, **{samples.field: torch.cat([*parts, last.inputs]), "labels": labels}
        ), held_out

    def _train(
        self,
        inverter: VectorInverter,
        training_pairs: Callable[[int], VectorPairs],
        validation: VectorPairs,
        device: str,
        generator: Generator,
    ) -> History:
        """Train the inverter in place by minimizing the mean squared error."""
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
            patience=self.patience,
        )
        fabric = make_fabric("float32", device)
        with global_seed(fork(generator)):
            return train(inverter, training_pairs, validation, training, generator=generator, fabric=fabric)


def _of_same_class(labels: Tensor, generator: Generator) -> Tensor:
    """Draw, for each sample, the index of a random sample of its class, which may be the sample itself, `[m]`."""
    others = torch.empty_like(labels)
    for label in labels.unique():
        rows = (labels == label).nonzero().flatten()
        others[rows] = rows[torch.randint(len(rows), (len(rows),), generator=generator)]
    return others


def _query(view: AuditorView[Any], samples: Any) -> Tensor:
    """Collect the oracle's gradient differences for samples, `[m, d]`."""
    return collect(
        (chunk.cpu() for chunk in view.oracle.differences(samples.inputs, samples.labels)),
        len(samples),
        view.oracle.dimension,
        memory_budget=view.memory_budget // 2,
        folder=view.scratch,
    )
