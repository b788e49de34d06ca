from dataclasses import replace

import torch
from tests.support.relu_gradients import ReluGradient

from palimpsest.attacks.disaggregation.candidates import Candidates, refine
from palimpsest.attacks.disaggregation.low_rank import factorize
from palimpsest.attacks.disaggregation.recovery import independent, recover

BATCH = ReluGradient.random()
FACTORS = factorize(BATCH.gradient, 3)
FOUND = refine(FACTORS, BATCH.zeros, BATCH.weights, sparsity=0.25)


def test_the_bias_gives_the_scale() -> None:
    recovered = recover(FACTORS, FOUND, BATCH.weights)
    assert recovered is not None
    torch.testing.assert_close(recovered.inputs, BATCH.inputs)
    torch.testing.assert_close(recovered.gradients, BATCH.gradients)
    assert recovered.agreement.tolist() == [1, 1, 1]
    assert bool(recovered.consistent.all())


def test_disagrees_at_other_weights() -> None:
    recovered = recover(FACTORS, FOUND, ReluGradient.random(seed=7).weights)
    assert recovered is not None
    assert float(recovered.agreement.max()) < 0.8
    assert not recovered.consistent.any()


def test_skips_dependent_candidates() -> None:
    mixed = (FOUND.directions[:1] + FOUND.directions[1:2]) / 2
    order = torch.cat([FOUND.directions[:2], mixed, FOUND.directions[2:]])
    candidates = Candidates(order, FOUND.zeros[[0, 1, 0, 2]])
    assert independent(FACTORS, candidates) == [0, 1, 3]
    assert recover(FACTORS, Candidates(order[:3], FOUND.zeros[[0, 1, 0]]), BATCH.weights) is None


def test_exchanges_a_wrong_candidate() -> None:
    wrong = torch.nn.functional.normalize(FOUND.directions[:1] + 0.5 * FOUND.directions[1:2])
    candidates = Candidates(torch.cat([wrong, FOUND.directions]), FOUND.zeros[[0, 0, 1, 2]])
    recovered = recover(
        FACTORS, replace(candidates, directions=candidates.directions[[0, 2, 3, 1]]), BATCH.weights
    )
    assert recovered is not None
    # The zeros of the exchanged candidates are those of other samples, so only the inputs can be compared.
    assert recovered.inputs.shape == BATCH.inputs.shape
