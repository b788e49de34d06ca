"""Learned inversion of samples that are no images: what the attacks on rows and on tokens share (IGF, section 3.2)."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn

from palimpsest.attacks.auditor_view import Attack, AuditorView, Knowledge, Reconstruction
from palimpsest.attacks.learned.extractors import fit_reduction
from palimpsest.errors import DivergenceError
from palimpsest.gradients import collect
from palimpsest.progress import progress_line
from palimpsest.randomness import fork

_TINY = 1e-6


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of each column.

    Args:
        mean: `[k]`.
        deviation: `[k]`; one where a column never changes.
    """

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, values: Tensor) -> "Scale":
        """The scale of the columns of `[m, k]`."""
        deviation = values.std(0, correction=0)
        return cls(values.mean(0), torch.where(deviation > _TINY, deviation, torch.ones_like(deviation)))

    def standardise(self, values: Tensor) -> Tensor:
        """`[n, k]` with the columns' mean 0 and deviation 1."""
        return (values - self.mean) / self.deviation

    def restore(self, values: Tensor) -> Tensor:
        """The inverse of `standardise`."""
        return values * self.deviation + self.mean


class Inverter(nn.Module):
    """A linear map and a network beside it: what the linear map explains need not be learned again.

    Args:
        inputs: Features of a vector.
        outputs: Numbers of a reconstruction.
        hidden: Units of both hidden layers.
        dropout: Share of units hidden in each step.
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
        """`[n, inputs]` to `[n, outputs]`."""
        return self.linear(features) + self.network(features)


class VectorInversion(Attack):
    """Base of the attacks that learn, from the auditor's own samples, to turn a proof back into a vector."""

    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    )

    queries: PositiveInt = 8
    """Queries for each auxiliary sample: itself, then mixtures of it with others of its class."""
    explained_variance: Annotated[float, Field(gt=0, le=1)] = 0.999
    """The share of the variance of the auditor's differences that is kept (Eq. 5)."""
    components: PositiveInt | None = 256
    """Keep no more than so many directions."""
    hidden: PositiveInt = 256
    """Units of the inverter's two hidden layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of them hidden in each training step."""
    epochs: PositiveInt = 60
    """Passes over the queries."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Samples in a step."""
    learning_rate: PositiveFloat = 2e-3
    """The highest of AdamW's learning rates; it falls to nothing along a cosine."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """AdamW's weight decay: auxiliary samples are few."""
    refreshes: PositiveInt = 10
    """Where answers vary, as through a random defence: how often to ask, spread over the epochs."""

    @abstractmethod
    def mix(self, inputs: Tensor, others: Tensor, generator: Generator) -> Tensor:
        """A sample between each of these and the other beside it, both `[m, *shape]`."""

    @abstractmethod
    def targets(self, samples: Any) -> Tensor:
        """What the inverter learns to give for each sample, `[m, k]`."""

    @abstractmethod
    def read(self, outputs: Tensor, samples: Any) -> Tensor:
        """Samples from the inverter's outputs `[n, k]` in the order of the proofs.

        Args:
            outputs: At the scale of the targets.
            samples: The auditor's own, of whose kind and shape the answer is.
        """

    def __call__(self, view: AuditorView[Any], *, generator: Generator) -> Reconstruction:
        """Learn from the oracle's answers, then reconstruct the sample behind each proof.

        Args:
            view: Proofs, oracle and auxiliary samples.
            generator: The attack's randomness.

        Raises:
            DivergenceError: The loss stopped being finite.
        """
        samples = self._queries(view, generator)
        answers = _ask(view, samples)
        reduction = fit_reduction(
            answers,
            reduction="svd",
            normalise=True,
            explained_variance=self.explained_variance,
            components=self.components,
            memory_budget=view.memory_budget // 2,
            generator=generator,
        )
        features = reduction.transform(answers)
        inputs, targets = Scale.of(features), self.targets(samples)
        outputs = Scale.of(targets)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(fork(generator))
            inverter = Inverter(features.shape[1], targets.shape[1], hidden=self.hidden, dropout=self.dropout)

        def lesson() -> Tensor:
            return inputs.standardise(reduction.transform(_ask(view, samples)))

        curve = self._train(
            inverter,
            inputs.standardise(features),
            outputs.standardise(targets),
            lesson if view.answers_vary else None,
            view.device,
            generator,
        )
        with torch.inference_mode():
            given = inputs.standardise(reduction.transform(view.proofs)).clamp(-1e4, 1e4)
            answered = inverter.cpu().eval()(given)
        facts = {
            "auxiliary_samples": float(len(view.auxiliary)),
            "queries": float(len(samples)),
            "dimension": float(view.oracle.dimension),
            "features": float(features.shape[1]),
            **reduction.facts,
        }
        return Reconstruction(
            self.read(outputs.restore(answered), view.auxiliary), {"training_loss": curve}, facts
        )

    def _queries(self, view: AuditorView[Any], generator: Generator) -> Any:
        """The auxiliary samples, then mixtures, as many as the oracle will answer."""
        samples = view.auxiliary
        wanted = self.queries if view.further is None else min(self.queries, 1 + view.further // len(samples))
        parts = [samples.inputs]
        for _ in range(1, wanted):
            others = _of_their_class(samples.labels, generator)
            parts.append(self.mix(samples.inputs, samples.inputs[others], generator))
        return replace(
            samples, **{samples.field: torch.cat(parts), "labels": samples.labels.repeat(len(parts))}
        )

    def _train(
        self,
        inverter: nn.Module,
        features: Tensor,
        targets: Tensor,
        lesson: Any,
        device: str,
        generator: Generator,
    ) -> list[float]:
        """Minimise the mean squared error in place; the mean loss of each epoch."""
        inverter.to(device).train()
        optimizer = torch.optim.AdamW(
            inverter.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs)
        curve = []
        refreshes = min(self.refreshes, self.epochs)
        # Dropout draws from the global random state and takes no generator: it gets one that nobody else sees.
        with torch.random.fork_rng(devices=[]), progress_line("train inverter", self.epochs) as line:
            torch.manual_seed(fork(generator))
            for epoch in range(self.epochs):
                if (
                    lesson
                    and epoch
                    and epoch * refreshes // self.epochs > (epoch - 1) * refreshes // self.epochs
                ):
                    features = lesson()
                total = 0.0
                for rows in torch.randperm(len(features), generator=generator).split(self.batch_size):
                    optimizer.zero_grad()
                    loss = F.mse_loss(inverter(features[rows].to(device)), targets[rows].to(device))
                    if not loss.isfinite():
                        raise DivergenceError(
                            f"The inverter's loss is {loss.item()} in epoch {epoch}: lower attack.learning_rate (now "
                            f"{self.learning_rate})."
                        )
                    loss.backward()
                    optimizer.step()
                    total += loss.item() * len(rows)
                schedule.step()
                curve.append(total / len(features))
                line.advance(values={"loss": curve[-1]})
        return curve


def _of_their_class(labels: Tensor, generator: Generator) -> Tensor:
    """For each sample another one of its class, or itself where it is alone, `[m]`."""
    others = torch.empty_like(labels)
    for label in labels.unique():
        rows = (labels == label).nonzero().flatten()
        others[rows] = rows[torch.randint(len(rows), (len(rows),), generator=generator)]
    return others


def _ask(view: AuditorView[Any], samples: Any) -> Tensor:
    return collect(
        (chunk.cpu() for chunk in view.oracle.differences(samples.inputs, samples.labels)),
        len(samples),
        view.oracle.dimension,
        memory_budget=view.memory_budget // 2,
        folder=view.scratch,
    )
