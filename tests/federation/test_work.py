import torch
from tests.federation.test_dp_sgd import DP, network, samples
from torch import Tensor

from palimpsest.federation import LocalTraining, Release, Shard


def test_streams_have_different_noise_and_are_reproducible() -> None:
    shard = Shard(*samples(20), torch.arange(20))
    work = LocalTraining(epochs=1, batch_size=6, learning_rate=0.1, dp=DP)

    def trained(name: str) -> Tensor:
        model = network()
        work.in_stream(name)(model, shard, seed=5)
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    assert torch.equal(trained("retrain"), trained("retrain"))
    assert not torch.equal(trained("retrain"), trained("train"))
    plain = LocalTraining(epochs=1, batch_size=6, learning_rate=0.1)
    assert plain.in_stream("retrain") is plain
    assert plain.release(0, 20) is None


def test_a_release_has_the_steps_of_all_epochs() -> None:
    work = LocalTraining(epochs=3, batch_size=6, learning_rate=0.1, dp=DP)
    assert work.release(4, 20) == Release(4, 0.3, 12, 1.5)
    assert work.release(4, 5) == Release(4, 1.0, 3, 1.5)
    assert len(Shard(*samples(20), torch.arange(7))) == 7
