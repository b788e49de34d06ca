"""Results of the membership tests: curves, rates, and the most exposed samples."""

from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.membership.evidence import Evidence, GroupName, ModelName
from palimpsest.membership.inference import applicable_tests, membership_scores
from palimpsest.metrics.roc import Roc, roc
from palimpsest.storage import Record

MOST_EXPOSED = 10
"""Number of most exposed samples that a report names."""
GROUPS: tuple[GroupName, ...] = ("forgotten", "retained")
MODELS: tuple[ModelName, ...] = ("original", "unlearned")


@dataclass(frozen=True)
class Result(Record):
    """Result of one test.

    Args:
        test: Name of the test.
        group: The members: `forgotten` or `retained`.
        model: The tested model: `original` or `unlearned`.
        members: Score of each member, in the order of the pairs, `[n]`.
        nonmembers: Score of each nonmember, `[n]`.
    """

    test: str
    group: str
    model: str
    members: Tensor
    nonmembers: Tensor

    @property
    def roc(self) -> Roc:
        """Curve of the test."""
        return roc(self.members, self.nonmembers)

    def most_exposed(self, count: int = MOST_EXPOSED) -> Tensor:
        """Return the positions of the members with the highest scores, highest first.

        Args:
            count: Largest number of members.
        """
        return self.members.argsort(descending=True)[:count]


@dataclass(frozen=True)
class Assessment(Record):
    """Results of all tests of one unlearning.

    Args:
        results: Results, by group, model and test.
        forgotten: Rows of the training images of the forgotten candidates, in the order of the pairs, int64.
        retained: Rows of the retained candidates, int64.
        shadows: Number of shadow models.
    """

    results: tuple[Result, ...]
    forgotten: Tensor
    retained: Tensor
    shadows: int

    def find(self, test: str, group: GroupName, model: ModelName) -> Result | None:
        """Return the result of a test, or None if it was not run."""
        wanted = (test, group, model)
        found = (result for result in self.results if (result.test, result.group, result.model) == wanted)
        return next(found, None)


def assess(evidence: Evidence, *, forgotten: Tensor, retained: Tensor) -> Assessment:
    """Run all tests on the original and the unlearned model, for forgotten and for retained samples.

    Args:
        evidence: Outputs of the tested models and the shadow models.
        forgotten: Rows of the training images of the forgotten candidates, in the order of the pairs, int64.
        retained: Rows of the retained candidates, int64.

    Returns:
        The results.
    """
    results = [
        Result(name, group, model, *membership_scores(evidence, name, group, model))
        for group in GROUPS
        if evidence.pairs(group)
        for model in MODELS
        for name in applicable_tests(evidence, model)
    ]
    finite = [result for result in results if torch.isfinite(result.members).all()]
    assert len(finite) == len(results), "scores are finite because the models' parameters are"
    return Assessment(tuple(results), forgotten, retained, len(evidence.shadows))
