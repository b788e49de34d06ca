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
    """The smallest attack: an MLP on the whole vector."""

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


def test_the_networks_images_are_averaged_and_their_histories_numbered(view: AuditorView) -> None:
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
def test_queries_are_as_many_as_the_oracle_answers(
    view: AuditorView, limit: int | None, probes: int, per_image: int
) -> None:
    attack = WholeVectorInversion(queries=4, probe_queries=probes)
    assert attack.affordable(replace(view, remaining_queries=limit)) == per_image


def test_probes_that_exceed_the_limit_leave_it_to_the_queries(view: AuditorView) -> None:
    attack = WholeVectorInversion(queries=4, probe_queries=500)
    assert attack.affordable(replace(view, remaining_queries=320)) == 2


@pytest.mark.parametrize(("share", "kept"), [(0.0, 0), (0.1, 30), (0.5, 150)])
def test_validation_images_have_no_variation_among_the_training_pairs(
    view: AuditorView, share: float, kept: int
) -> None:
    class Spy(WholeVectorInversion):
        def fit_refinement(self, learned, pairs, validation, view, generator):
            assert len(validation) == kept
            assert len(pairs) == 3 * (300 - kept)
            assert not set((pairs.rows % 300).tolist()) & set(validation.rows.tolist())
            return learned

    learned = Spy(validation=share, queries=3, epochs=1).learn(view, generator=seeded())
    assert ("validation_mse" in learned.history) == (kept > 0)


def test_a_stochastic_oracle_is_not_refined(view: AuditorView) -> None:
    class Refusing(WholeVectorInversion):
        def fit_refinement(self, learned, pairs, validation, view, generator):
            raise AssertionError("the errors on new answers are not known")

    stochastic = replace(view, stochastic_oracle=True)
    assert Refusing(epochs=1).learn(stochastic, generator=seeded()).networks
