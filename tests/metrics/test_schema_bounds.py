import pytest

from palimpsest.metrics import BoundsMetrics, IdentificationBounds


@pytest.mark.parametrize(
    ("parts", "bound"),
    [
        ({}, None),
        ({"candidate_bound": 0.4}, 0.4),
        ({"candidate_bound": 0.4, "any_candidates_bound": 0.3}, 0.3),
        # An attack that sees one proof is not limited by what all proofs reveal together.
        ({"joint_bound": 0.1, "optimum": 0.05}, None),
    ],
)
def test_the_bound_is_the_smallest_one_for_one_proof(parts, bound):
    assert IdentificationBounds(candidates=10, chance=0.1, **parts).bound == bound


def test_a_reason_alone_is_written_alone():
    assert BoundsMetrics(reason="no bound: why").model_dump(exclude_none=True) == {"reason": "no bound: why"}
