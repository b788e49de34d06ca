import torch

from palimpsest.attacks import Reconstruction
from palimpsest.pipeline.stages.recovered import Recovered


def test_without_defenses_there_is_one_attacker() -> None:
    alone = Recovered(Reconstruction(torch.zeros(1, 1, 2, 2), {}, {}))
    assert alone.others == {}
    # The default must not be shared between instances.
    assert alone.others is not Recovered(alone.reconstruction).others
