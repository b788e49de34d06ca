from dataclasses import replace

import pytest
import torch
from tests.support.attack_views import seeded
from torch import Generator, Tensor, nn

from palimpsest.attacks import AuditorView, LearnedInversion
from palimpsest.attacks.learned.extractors import Reduced
from palimpsest.attacks.learned.features import FeatureExtractors, Features
from palimpsest.attacks.learned.inverter import MlpInverter


class WholeVectorInversion(LearnedInversion):
    """Minimal attack: an MLP on the whole vector."""

    beta: float = 0.0
    epochs: int = 3
    batch_size: int = 64
    probe_queries: int = 0

    def fit_extractors(
        self, vectors: Tensor, labels: Tensor, view: AuditorView, generator: Generator
    ) -> FeatureExtractors:
        return FeatureExtractors(others=[Reduced(normalize=False, signs=False)])

    def build_inverter(self, features: Features, shape: tuple[int, int, int]) -> nn.Module:
        return MlpInverter(features.count, shape, hidden=8)

    def probes(self, view: AuditorView) -> int:
        return self.probe_queries


def test_averages_images_of_an_ensemble_and_numbers_its_histories(view: AuditorView) -> None:
    attack = WholeVectorInversion(ensemble_size=2)
    learned = attack.learn(view, generator=seeded())
    assert learned.history.keys() == {
        "training_loss",
        "validation_mse",
        "training_loss_2",
        "validation_mse_2",
    }
    features = learned.features.transform(view.proofs)
    single = [
        attack.apply_networks(replace(learned, networks=(network,)), features, device="cpu")
        for network in learned.networks
    ]
    averaged = attack.apply_networks(learned, features, device="cpu")
    torch.testing.assert_close(averaged, (single[0] + single[1]) / 2)
    assert not torch.equal(single[0], single[1])


def test_learning_does_not_use_the_proofs(view: AuditorView) -> None:
    attack = WholeVectorInversion()
    first = attack.learn(view, generator=seeded())
    second = attack.learn(replace(view, proofs=torch.full_like(view.proofs, torch.nan)), generator=seeded())
    for name, value in first.networks[0].parameters.items():
        assert torch.equal(value, second.networks[0].parameters[name])


@pytest.mark.parametrize(
    ("limit", "probes", "per_image"),
    [(None, 100, 4), (0, 0, 1), (299, 0, 1), (300, 0, 2), (350, 100, 1), (400, 100, 2), (9000, 100, 4)],
)
def test_queries_per_image_follow_the_oracles_limit(
    view: AuditorView, limit: int | None, probes: int, per_image: int
) -> None:
    attack = WholeVectorInversion(queries=4, probe_queries=probes)
    assert attack.affordable(replace(view, remaining_queries=limit)) == per_image


def test_probes_beyond_the_limit_are_not_counted(view: AuditorView) -> None:
    attack = WholeVectorInversion(queries=4, probe_queries=500)
    assert attack.affordable(replace(view, remaining_queries=320)) == 2


@pytest.mark.parametrize(("share", "held_out"), [(0.0, 0), (0.1, 30), (0.5, 150)])
def test_no_variation_of_a_validation_image_is_trained_on(
    view: AuditorView, share: float, held_out: int
) -> None:
    class Spy(WholeVectorInversion):
        def fit_refinement(self, learned, pairs, validation, view, generator):
            assert len(validation) == held_out
            assert len(pairs) == 3 * (300 - held_out)
            assert not set((pairs.rows % 300).tolist()) & set(validation.rows.tolist())
            return learned

    learned = Spy(validation=share, queries=3, epochs=1).learn(view, generator=seeded())
    assert ("validation_mse" in learned.history) == (held_out > 0)


def test_fits_no_refinement_with_a_stochastic_oracle(view: AuditorView) -> None:
    class Failing(WholeVectorInversion):
        def fit_refinement(self, learned, pairs, validation, view, generator):
            raise AssertionError("fit_refinement must not be called")

    stochastic = replace(view, stochastic_oracle=True)
    assert Failing(epochs=1).learn(stochastic, generator=seeded()).networks
