"""Outputs of the tested models and of the shadow models, from which every membership test is computed."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from palimpsest.membership.proof_channel import ProofReadings
from palimpsest.storage import Record

GroupName = Literal["forgotten", "retained"]
ModelName = Literal["original", "unlearned"]


@dataclass(frozen=True)
class Evidence(Record):
    """Logits of all models on the candidates, followed by the population.

    Candidates are in the order of `Pool.rows`: members and nonmembers of the forgotten pairs, then of the retained.

    Args:
        labels: Classes of the candidates and the population, `[samples]` int64.
        original: Logits of the tested model before unlearning, `[samples, classes]`.
        unlearned: Logits of the tested model after unlearning, `[samples, classes]`.
        shadows: Logits of the shadow models before unlearning, `[shadows, samples, classes]`.
        unlearned_shadows: Logits of the first shadow models after they unlearned their own requests, on the candidates
            at least; None if none of them unlearned. Fewer of them save time.
        members: Which shadow model was trained on which candidate, `[shadows, candidates]` bool.
        forgotten_pairs: Number of pairs of a forgotten sample and one that was never trained on.
        retained_pairs: Number of pairs of a retained sample and one that was never trained on.
        proofs: Comparison of the candidates with the proofs, in the order of the candidates; None if there are none.
    """

    labels: Tensor
    original: Tensor
    unlearned: Tensor
    shadows: Tensor
    unlearned_shadows: Tensor | None
    members: Tensor
    forgotten_pairs: int
    retained_pairs: int
    proofs: ProofReadings | None = None

    @property
    def candidates(self) -> int:
        """Number of candidates."""
        return 2 * (self.forgotten_pairs + self.retained_pairs)

    def rows(self, group: GroupName) -> slice:
        """Return the samples of a group: its members, then as many nonmembers."""
        first = 2 * self.forgotten_pairs
        return slice(0, first) if group == "forgotten" else slice(first, self.candidates)

    def pairs(self, group: GroupName) -> int:
        """Return the number of pairs of a group."""
        return self.forgotten_pairs if group == "forgotten" else self.retained_pairs

    def view(self, group: GroupName, model: ModelName) -> "View":
        """Return what a test of one group on one model uses."""
        rows, population = self.rows(group), slice(self.candidates, None)
        tested = self.original if model == "original" else self.unlearned
        unlearned, proofs = self.unlearned_shadows, self.proofs
        return View(
            labels=self.labels[rows],
            logits=tested[rows],
            other=(self.original if model == "unlearned" else self.unlearned)[rows],
            shadows=self.shadows[:, rows],
            unlearned_shadows=None if unlearned is None else unlearned[:, rows],
            members=self.members[:, rows],
            population_labels=self.labels[population],
            population=tested[population],
            population_shadows=self.shadows[:, population],
            proofs=proofs and ProofReadings(proofs.norms[rows], proofs.distances[rows]),
        )


@dataclass(frozen=True, eq=False)
class View:
    """Outputs on the candidates of one group, as an attacker on one model sees them.

    Args:
        labels: Classes of the candidates, `[n]` int64.
        logits: The tested model's logits, `[n, classes]`.
        other: Logits of the model before unlearning, for an attacker who has both models, `[n, classes]`.
        shadows: The shadow models' logits, `[shadows, n, classes]`.
        unlearned_shadows: The logits of the first of them after unlearning; None if none of them unlearned.
        members: Which shadow model was trained on which candidate, `[shadows, n]` bool.
        population_labels: Classes of the population, `[m]` int64.
        population: The tested model's logits of the population, `[m, classes]`.
        population_shadows: The shadow models' logits of the population, `[shadows, m, classes]`.
        proofs: Comparison of the candidates with the proofs; None if there are none.
    """

    labels: Tensor
    logits: Tensor
    other: Tensor
    shadows: Tensor
    unlearned_shadows: Tensor | None
    members: Tensor
    population_labels: Tensor
    population: Tensor
    population_shadows: Tensor
    proofs: ProofReadings | None
