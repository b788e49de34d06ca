import pytest
from tests.support.pages import make_metrics

from palimpsest.report.identification import identified_sentence, identify


@pytest.mark.parametrize(
    ("top1", "above_chance", "above_class", "words"),
    [
        (0.5, True, True, "50 of 100 forgotten images"),
        (0.1, True, False, "no more than the class explains"),
        (0.01, False, False, "does not exclude chance"),
    ],
)
def test_the_exact_interval_decides(top1: float, above_chance: bool, above_class: bool, words: str) -> None:
    found = identify(make_metrics(mse=0.05, top1=top1, count=100), classes=10)
    assert (found.above_chance, found.above_class) == (above_chance, above_class)
    assert words in identified_sentence(found)
