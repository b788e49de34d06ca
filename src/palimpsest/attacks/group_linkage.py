"""Linkage attack on aggregated proofs: is a candidate one of the samples behind a mean of gradient differences?"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from palimpsest.attacks.auditor_view import AuditorView, Knowledge
from palimpsest.attacks.linkage import TRIALS, Imitate, Linkage, query_samples
from palimpsest.datasets import EMPTY, SampleSet
from palimpsest.errors import DatasetError
from palimpsest.metrics.roc import best_threshold, roc
from palimpsest.oracles import membership_weights
from palimpsest.progress import progress_line
from palimpsest.proofs.fit import row_norms
from palimpsest.storage import Record

GROUPS = 256
"""Number of the auditor's own groups on which the statistics are compared."""
_COMPONENTS, _RIDGE = 128, 0.01
_FEWEST = 8
_TINY = torch.finfo(torch.float64).tiny

STATISTICS = ("imitation", "product", "alignment", "whitened")
"""Statistics of the fit between an aggregated proof and a candidate; see `link_groups`."""


@dataclass(frozen=True)
class GroupLinkage(Record):
    """Fit of each aggregated proof to each candidate.

    Args:
        scores: Fit of each proof to each candidate, `[groups, candidates]`; higher means more likely a member.
        statistic: Name of the statistic that computed the scores, the best one on the auditor's own groups.
        threshold: Score from which on the auditor takes a candidate for a member, chosen on its own groups.
        trials: Area under the ROC curve of each statistic on the auditor's own groups, by name.
    """

    scores: Tensor
    statistic: str
    threshold: float
    trials: dict[str, float]

    knowledge: ClassVar[frozenset[Knowledge]] = Linkage.knowledge


def link_groups(
    view: AuditorView[Any], candidates: SampleSet, imitate: Imitate | None, *, generator: Generator
) -> GroupLinkage:
    """Test for each aggregated proof which candidates are among the samples behind it.

    The statistics are compared on groups of auxiliary samples of the same sizes:

    - `product` and `alignment`: inner product and cosine of the proof and the candidate's undefended difference.
    - `imitation`: cosine with the candidate's imitated proof.
    - `whitened`: logarithm of the likelihood ratio if gradient differences are Gaussian. With the mean m and the
      covariance C of the auxiliary differences, a proof a of s samples and a candidate's difference x, this is
      (x - m)' C^-1 (a - m) - (x - m)' C^-1 (x - m) / (2 s), up to terms of order 1 / s.

    Args:
        view: Aggregated proofs, their sizes, an oracle for single samples, and auxiliary samples.
        candidates: Labeled samples, which may include members.
        imitate: The auditor's imitation of the clients' defenses. None means that there are no defenses.
        generator: Draws the auxiliary samples and the groups.

    Returns:
        The scores of all candidates for each proof.

    Raises:
        DatasetError: There are fewer than eight auxiliary samples.
    """
    drawn = torch.randperm(len(view.auxiliary), generator=generator)[: _affordable(view)]
    if len(drawn) < _FEWEST:
        raise DatasetError(
            f"Linkage to groups compares its statistics on auxiliary images, but there are {len(drawn)}. Supply at "
            f"least {_FEWEST} (data.auxiliary_size)."
        )
    answers, sizes = (
        query_samples(view, view.auxiliary.subset(drawn), "query auxiliary samples"),
        torch.tensor(view.group_sizes),
    )
    linker, values = _try_statistics(answers, sizes, imitate, generator)
    trials = {name: roc(members, others).auc.value for name, (members, others) in values.items()}
    statistic = max(trials, key=lambda name: trials[name])
    return GroupLinkage(
        torch.cat(list(_score(view, candidates, linker, sizes, imitate, statistic)), 1),
        statistic,
        best_threshold(*values[statistic]),
        trials,
    )


@dataclass(frozen=True)
class Whitening:
    """Mean and principal directions of the auxiliary gradient differences.

    Args:
        mean: Mean difference, `[d]` float64.
        center: Mean proof, `[d]` float64: the same without defenses. Defenses that change the length leave it unused.
        basis: Directions divided by the standard deviation along them, `[k, d]` float64.
    """

    mean: Tensor
    center: Tensor
    basis: Tensor

    @classmethod
    def fit(cls, answers: Tensor, proofs: Tensor) -> "Whitening":
        """Estimate the means and the largest principal directions.

        Args:
            answers: Undefended gradient differences, `[m, d]`, m at least 2.
            proofs: Imitated proofs of the auditor's groups, `[g, d]`.
        """
        rows = answers.double()
        mean = rows.mean(0)
        centered = rows - mean
        values, vectors = torch.linalg.eigh(centered @ centered.T)
        kept = torch.arange(len(values) - 1, max(0, len(values) - 1 - _COMPONENTS), -1)
        kept = kept[values[kept] > 1e-10 * values[-1]]
        directions = (vectors[:, kept] / values[kept].sqrt()).T @ centered
        variances = values[kept] / (len(rows) - 1)
        # Small variances are underestimated from few samples, and their inverses would outweigh all others.
        scaled = directions / (variances + _RIDGE * variances.mean()).sqrt()[:, None]
        return cls(mean, proofs.double().mean(0), scaled)

    def statistics(
        self,
        proofs: Tensor,
        sizes: Tensor,
        answers: Tensor,
        imitations: Tensor,
        *,
        names: Collection[str] = STATISTICS,
    ) -> dict[str, Tensor]:
        """Score each pair of a proof and a candidate; see `link_groups`.

        Args:
            proofs: Aggregated proofs, `[g, d]`.
            sizes: Number of samples behind each, `[g]`.
            answers: Undefended gradient differences of the candidates, `[m, d]`.
            imitations: Imitated proofs of the candidates, `[m, d']`. If d' is not d, only these are compared.
            names: Statistics to compute. If omitted, all of them.

        Returns:
            Scores by the statistic's name, `[g, m]` float64.
        """
        comparable = proofs.shape[1] == answers.shape[1]
        computed = [name for name in names if comparable or name == "imitation"]
        found = dict[str, Tensor]()
        for name in computed:
            if name == "whitened":
                found[name] = self._likelihood_ratio(proofs, sizes, answers)
                continue
            vectors = imitations if name == "imitation" else answers
            scores = proofs.double() @ vectors.double().T
            if name != "product":
                scores /= (row_norms(proofs)[:, None] * row_norms(vectors)).clamp_min(_TINY)
            found[name] = scores
        return found

    def _likelihood_ratio(self, proofs: Tensor, sizes: Tensor, answers: Tensor) -> Tensor:
        left = (proofs.double() - self.center) @ self.basis.T
        right = (answers.double() - self.mean) @ self.basis.T
        return left @ right.T - right.square().sum(1) / (2 * sizes[:, None])


def _try_statistics(
    answers: Tensor, sizes: Tensor, imitate: Imitate | None, generator: Generator
) -> tuple[Whitening, dict[str, tuple[Tensor, Tensor]]]:
    """Return the linker, and the scores of a member and of a stranger for each of the auditor's own groups."""
    # Statistics are fitted on one half; of the other, the first part may be members and the second part never is.
    half = len(answers) // 2
    pool, others = answers[half:].chunk(2)
    trial_sizes = sizes.repeat(-(-GROUPS // len(sizes)))[:GROUPS]
    members = torch.randint(len(pool), (GROUPS, int(sizes.max())), generator=generator)
    members = members.masked_fill(torch.arange(members.shape[1]) >= trial_sizes[:, None], EMPTY)
    weights = membership_weights(members, len(pool))
    proofs = _imitated(weights @ pool, imitate)
    member = torch.multinomial(weights, 1, generator=generator).flatten()
    stranger = torch.randint(len(others), (GROUPS,), generator=generator)
    linker = Whitening.fit(answers[:half], proofs)
    inside = linker.statistics(proofs, trial_sizes, pool, _imitated(pool, imitate))
    outside = linker.statistics(proofs, trial_sizes, others, _imitated(others, imitate))
    pairs = torch.arange(GROUPS)
    return linker, {name: (inside[name][pairs, member], outside[name][pairs, stranger]) for name in inside}


def _score(
    view: AuditorView[Any],
    candidates: SampleSet,
    linker: Whitening,
    sizes: Tensor,
    imitate: Imitate | None,
    statistic: str,
) -> Iterator[Tensor]:
    """Yield the scores of the candidates, `[groups, chunk]`; no more than a chunk of their differences is held."""
    with progress_line("query candidates", len(candidates)) as line:
        for chunk in view.oracle.differences(candidates.inputs, candidates.labels):
            answers = chunk.cpu()
            imitations = _imitated(answers, imitate)
            found = linker.statistics(view.proofs, sizes, answers, imitations, names=(statistic,))
            yield found[statistic].float()
            line.advance(len(answers))


def _affordable(view: AuditorView[Any]) -> int:
    """Return the number of auxiliary samples: the matrices of a fit, in float64, take half of the memory budget."""
    return max(_FEWEST, min(TRIALS, view.memory_budget // (2 * 4 * 8 * view.oracle.dimension)))


def _imitated(answers: Tensor, imitate: Imitate | None) -> Tensor:
    return answers if imitate is None else torch.cat(list(imitate([answers])))
