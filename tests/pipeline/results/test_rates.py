from palimpsest.federation import Round
from palimpsest.federation.intake import NO_DATA
from palimpsest.pipeline.results.rates import left_out


def test_who_was_left_out_is_named_with_each_reason_and_how_often() -> None:
    rounds = [
        Round(drawn=(0, 1, 2), used=(0,), left_out={2: "not finite", 1: NO_DATA}, attempts=1, loss=0.5),
        Round(drawn=(1, 2), used=(), left_out={2: "not finite", 1: "another shape"}, attempts=2, loss=None),
        Round(drawn=(2,), used=(), left_out={2: "another shape"}, attempts=1, loss=None),
    ]
    # To hold no data is no failure.
    assert left_out(rounds) == {1: {"another shape": 1}, 2: {"not finite": 2, "another shape": 1}}
    assert left_out([]) == {}
