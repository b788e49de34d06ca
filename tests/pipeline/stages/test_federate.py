from collections.abc import Callable

import pytest
import torch

from palimpsest.config import FederationConfig, ModelConfig, UnlearningConfig
from palimpsest.datasets import FederatedData
from palimpsest.federation import Federation, Training
from palimpsest.pipeline.stages.federate import (
    history_folder,
    study_forgetting,
    train_original,
    unlearn_twice,
)
from palimpsest.runs import Run
from palimpsest.unlearning import Request, make_request

Make = Callable[..., FederationConfig]


@pytest.fixture
def federation(data: FederatedData, lenet: ModelConfig, config: Make) -> Federation:
    return Federation(data, lenet, config(rounds=2), 1)


def requested(federation: Federation, unlearning: UnlearningConfig) -> Request:
    return make_request(unlearning, federation.data, seed=1)


def test_exact_unlearning_is_its_own_reference(federation: Federation, run: Run) -> None:
    unlearning = UnlearningConfig(count=6)
    request = requested(federation, unlearning)
    original = train_original(run, federation, request, unlearning)
    unlearned, retrained = unlearn_twice(run, federation, request, original, unlearning)
    assert unlearned is retrained
    forgetting = study_forgetting(run, federation, request, original, unlearned, retrained)
    assert forgetting.distance.absolute == 0
    assert list(run.seconds()) == ["original", "unlearned", "forgetting"]


def test_an_approximate_method_is_compared_with_exact_retraining(federation: Federation, run: Run) -> None:
    unlearning = UnlearningConfig(count=6, method="ascent")
    request = requested(federation, unlearning)
    original = train_original(run, federation, request, unlearning)
    unlearned, retrained = unlearn_twice(run, federation, request, original, unlearning)
    exact, _ = unlearn_twice(run, federation, request, original, UnlearningConfig(count=6))
    assert all(torch.equal(value, exact.parameters[name]) for name, value in retrained.parameters.items())
    forgetting = study_forgetting(run, federation, request, original, unlearned, retrained)
    assert forgetting.distance.absolute > 0
    exact_forgetting = study_forgetting(run, federation, request, original, exact, exact)
    assert forgetting.retrained == exact_forgetting.unlearned


def test_retraining_from_a_fresh_seed_is_compared_with_the_same_seed(
    federation: Federation, run: Run
) -> None:
    unlearning = UnlearningConfig(count=6, fresh_seed=True)
    request = requested(federation, unlearning)
    original = train_original(run, federation, request, unlearning)
    unlearned, retrained = unlearn_twice(run, federation, request, original, unlearning)
    assert any(
        not torch.equal(value, retrained.parameters[name]) for name, value in unlearned.parameters.items()
    )


def test_stores_the_history_for_methods_that_need_it(federation: Federation, run: Run) -> None:
    assert history_folder(run, UnlearningConfig()) is None
    unlearning = UnlearningConfig(count=6, method="federaser")
    train_original(run, federation, requested(federation, unlearning), unlearning)
    assert any((run.folder / "history").iterdir())


@pytest.mark.parametrize("ensure", [True, False])
def test_the_unlearning_clients_participate_if_required(
    data: FederatedData, lenet: ModelConfig, config: Make, run: Run, ensure: bool
) -> None:
    federation = Federation(data, lenet, config(rounds=1), 1)

    def trained(client: int) -> Training:
        unlearning = UnlearningConfig(
            scenario="client", clients=(client,), count=None, ensure_participation=ensure
        )
        return train_original(run, federation, requested(federation, unlearning), unlearning)

    assert all(trained(client).participation[client] for client in range(5)) is ensure
