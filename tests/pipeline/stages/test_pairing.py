import pytest
import torch
from tests.support.flat_oracle import small_images

from palimpsest.attacks import Reconstruction
from palimpsest.config import build_config
from palimpsest.pipeline.stages.pairing import pairing_test
from palimpsest.runs import Run

CONFIG = build_config({"data": {"name": "digits"}, "scoring": {"bootstrap": 99}})
TRUTH, AUXILIARY = small_images(20, seed=1), small_images(30, seed=2)


@pytest.mark.parametrize(("shift", "significant"), [(0, True), (1, False)])
def test_true_pairs_beat_shuffled_ones(run: Run, shift: int, significant: bool) -> None:
    found = Reconstruction(TRUTH.images.roll(shift, 0), {}, {})
    test = pairing_test(run, CONFIG, found, TRUTH, AUXILIARY)
    assert test.permutations == 99
    assert (test.p_value <= 0.05) is significant
    assert torch.equal(found.images, TRUTH.images.roll(shift, 0))
    assert list(run.seconds()) == ["permutation-test"]
