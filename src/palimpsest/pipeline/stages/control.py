"""Positive control: the same attack on proofs of the attacker's own samples that it was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from palimpsest.attacks import AuditorView, Reconstruction
from palimpsest.datasets import SampleSet
from palimpsest.oracles import Oracle, query_all
from palimpsest.proofs import Proofs
from palimpsest.randomness import make_generator
from palimpsest.runs import Run

FEWEST = 4
"""Smallest number of kept-aside samples: with fewer, not even a perfect attack is significantly above chance."""
_SHARE = 10


@dataclass(frozen=True)
class Control:
    """Samples that the attacker kept aside, and what the attack reconstructs from their proofs.

    Args:
        samples: The kept-aside samples.
        reconstruction: Their reconstructions, in the same order.
    """

    samples: SampleSet
    reconstruction: Reconstruction


def keep_aside(view: AuditorView[Any], size: int, *, seed: int) -> tuple[AuditorView[Any], SampleSet | None]:
    """Split the auxiliary samples: some are kept aside, and the attack is trained on the others.

    Args:
        view: The auditor's view.
        size: Number of samples to keep aside, at most a tenth of the auxiliary ones; 0 keeps none.
        seed: The run's seed, which selects the samples.

    Returns:
        The view without the kept-aside samples, and these samples; None if they would be fewer than four.
    """
    count = min(size, len(view.auxiliary) // _SHARE)
    if count < FEWEST:
        return view, None
    order = torch.randperm(len(view.auxiliary), generator=make_generator(seed, "positive control"))
    rest = view.auxiliary.subset(order[count:].sort().values)
    return replace(view, auxiliary=rest), view.auxiliary.subset(order[:count].sort().values)


def control_proofs(run: Run, oracle: Oracle, samples: SampleSet, *, key: Sequence[object]) -> Proofs:
    """Run the stage `control-proofs`: query the proofs of the kept-aside samples, defended like those of the clients.

    Args:
        run: The run that stores the stage.
        oracle: The oracle; if there are defenses, one that imitates them.
        samples: The kept-aside samples.
        key: Everything that the oracle's answers depend on.

    Returns:
        The proofs, in the order of the samples.
    """
    return run.stage(
        "control-proofs",
        Proofs,
        lambda _: Proofs(query_all(oracle, samples)),
        key=(*key, samples),
    )
