"""Made-up outputs of models, for tests of the membership tests."""

import torch

from palimpsest.membership import Evidence, ProofReadings

CLASSES = 4


def made_up(
    *,
    forgotten: int,
    retained: int,
    shadows: int,
    population: int,
    memory: float = 0.0,
    remains: float = 0.0,
    unlearns: bool = True,
    proofs: bool = True,
) -> Evidence:
    """Make logits of models that memorize their members by a known shift of the logit of the sample's class.

    Args:
        forgotten: Number of pairs whose member is forgotten.
        retained: Number of pairs whose member is retained.
        shadows: Number of shadow models, even.
        population: Number of population samples.
        memory: Shift of a member's logit before unlearning, and of a retained member's afterwards.
        remains: Shift of a forgotten member's logit after unlearning.
        unlearns: Whether the shadow models unlearned.
        proofs: Whether the forgotten members handed in proofs, which equal their gradient differences.
    """
    generator = torch.Generator().manual_seed(0)
    pairs = forgotten + retained
    samples = 2 * pairs + population
    labels = torch.randint(CLASSES, (samples,), generator=generator)
    base = 2 * torch.randn(samples, CLASSES, generator=generator)

    def halves(count: int) -> torch.Tensor:
        taken = torch.rand(shadows // 2, count, generator=generator) < 0.5
        taken = torch.cat([taken, ~taken])
        return torch.cat([taken, ~taken], 1)

    def outputs(members: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        noise = 0.5 * torch.randn(len(members), samples, CLASSES, generator=generator)
        logits = base + noise
        logits[:, : 2 * pairs] += (members * shift).unsqueeze(-1) * torch.nn.functional.one_hot(
            labels[: 2 * pairs], CLASSES
        )
        return logits

    target = torch.cat([torch.arange(2 * count) < count for count in (forgotten, retained)]).unsqueeze(0)
    members = torch.cat([halves(forgotten), halves(retained)], 1)
    before = torch.full((2 * pairs,), memory)
    after = torch.where(torch.arange(2 * pairs) < 2 * forgotten, remains, memory)
    handed_in = torch.arange(2 * pairs) < forgotten
    readings = ProofReadings(
        norms=torch.rand(2 * pairs, generator=generator),
        distances=torch.where(handed_in, 0.0, torch.rand(2 * pairs, generator=generator)),
    )
    return Evidence(
        labels=labels,
        original=outputs(target, before)[0],
        unlearned=outputs(target, after)[0],
        shadows=outputs(members, before),
        unlearned_shadows=outputs(members, after) if unlearns else None,
        members=members,
        forgotten_pairs=forgotten,
        retained_pairs=retained,
        proofs=readings if proofs else None,
    )
