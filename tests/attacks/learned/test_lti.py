import torch
from torch import Tensor

from palimpsest.attacks import AuditorView, LearningToInvert
from palimpsest.attacks.learned.inverter import MlpInverter


def test_recovers_images_that_the_proofs_determine(view: AuditorView, forgotten: Tensor) -> None:
    attack = LearningToInvert(hidden=64, epochs=60, batch_size=64, learning_rate=3e-3)
    result = attack(view, generator=torch.Generator().manual_seed(0))
    baseline = (view.auxiliary.images.mean(0) - forgotten).square().mean()
    assert (result.images - forgotten).square().mean() < baseline / 4


def test_the_network_is_an_mlp_on_igfs_features(view: AuditorView) -> None:
    class Spy(LearningToInvert):
        def build_inverter(self, features, shape):
            network = super().build_inverter(features, shape)
            assert isinstance(network, MlpInverter)
            assert network.layers[0].in_features == features.facts["features"] < 40
            return network

    Spy(hidden=8, epochs=1, explained_variance=0.9)(view, generator=torch.Generator())
