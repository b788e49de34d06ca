from palimpsest.metrics import OverlapMetrics


def test_copies_are_identical_or_nearly_so() -> None:
    found = OverlapMetrics(treatment="kept", examined=9, compared=8, exact=2, near=3, repeated=1, remaining=4)
    assert found.copied == 5
    assert found.model_copy(update={"near": None}).copied == 2
