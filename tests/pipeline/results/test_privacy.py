"""Every unlearning method in a federation that trains with DP-SGD."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.outcomes import audit_outcome

from palimpsest.config import FederationConfig, ModelConfig, UnlearningConfig, build_config
from palimpsest.datasets import FederatedData
from palimpsest.errors import ModelError
from palimpsest.federation import Federation, train
from palimpsest.pipeline.audit import audit
from palimpsest.pipeline.results.metrics_json import build_metrics
from palimpsest.pipeline.results.outcome import Federated
from palimpsest.pipeline.results.privacy import privacy_metrics
from palimpsest.registry import METHODS
from palimpsest.unlearning import Unlearning, make_request, unlearn

PRIVATE: dict[str, Any] = {
    "clients": 5,
    "fraction": 1.0,
    "rounds": 2,
    "batch_size": 5,
    "learning_rate": 0.05,
    "dp_noise_multiplier": 1.1,
}


def federation(data: FederatedData, model: ModelConfig, **settings: Any) -> Federation:
    return Federation(data, model, FederationConfig(**PRIVATE | settings), 1)


def unlearned(fed: Federation, tmp_path: Path, **settings: Any) -> tuple[Any, Any, Unlearning]:
    config = UnlearningConfig(count=4, clients=(2,), **settings)
    request = make_request(config, fed.data, seed=1)
    original = train(fed, history=tmp_path / "history")
    return original, request, unlearn(original, fed, request, config, history=tmp_path / "history")


def test_training_records_the_steps_of_each_client(data: FederatedData, lenet: ModelConfig) -> None:
    releases = train(federation(data, lenet, fraction=0.6, local_epochs=2)).releases
    participation = train(federation(data, lenet, fraction=0.6, local_epochs=2)).participation
    for release in releases:
        rows = len(data.clients[release.client])
        assert release.rate == pytest.approx(5 / rows)
        assert release.steps == participation[release.client] * 2 * -(-rows // 5)
        assert release.noise_multiplier == 1.1
    assert {release.client for release in releases} == {c for c, times in enumerate(participation) if times}
    assert train(federation(data, lenet, dp_noise_multiplier=None)).releases == []


# Without a round there is nothing to account for, and class-discriminative pruning refuses DP-SGD.
ROUNDS = {
    "retrain": 2,
    "federaser": 3,
    "forged-retraining": 1,
    "guided-retraining": 2,
    "last-layer": 10,
    "overfit-retained": 10,
    "pga": 5,
    "puf": 4,
    "rapid": 2,
    "ascent": 2,
}


def test_names_every_method() -> None:
    assert set(METHODS.names()) - set(ROUNDS) == {"class-pruning", "fedrecovery", "unchanged"}


@pytest.mark.parametrize("method", ROUNDS)
def test_every_method_is_private_and_accounted_for(
    data: FederatedData, lenet: ModelConfig, tmp_path: Path, method: str
) -> None:
    fed = federation(data, lenet)
    original, _, result = unlearned(fed, tmp_path, method=method)
    assert all(bool(value.isfinite().all()) for value in result.parameters.values())
    steps = sum(one.steps for one in result.releases if one.client == 2 and one.rate < 1)
    # Client 2 keeps 8 of 12 samples, which are two steps of five.
    assert steps == 2 * ROUNDS[method]
    full = [release for release in result.releases if release.rate == 1]
    expected = {"ascent": [(2, 1)], "puf": [(2, 1)], "pga": [(2, 1), (2, 20)]}.get(method, [])
    assert [(release.client, release.steps) for release in full] == expected
    found = privacy_metrics(Federated(fed, original, result, None))  # type: ignore[arg-type]
    assert found is not None
    assert max(found.epsilon_training, found.epsilon_unlearning) < found.epsilon
    assert found.epsilon < found.epsilon_training + found.epsilon_unlearning
    assert (found.noise_multiplier, found.clip, found.delta) == (1.1, 1.0, 1e-5)
    copy = tmp_path / "unlearned.safetensors"
    result.save(copy)
    assert Unlearning.load(copy).releases == result.releases


def test_retraining_draws_fresh_noise(data: FederatedData, lenet: ModelConfig, tmp_path: Path) -> None:
    """With the noise of training, the difference of the models would be the clipped gradients of few samples."""
    fed = federation(data, lenet, dp_noise_multiplier=50.0, dp_clip=0.01)
    original, _, result = unlearned(fed, tmp_path, method="retrain")
    start = fed.network().state_dict()
    moves = [
        torch.cat([(one.parameters[name] - start[name]).flatten() for name in start])
        for one in (original, result)
    ]
    assert abs(float(torch.nn.functional.cosine_similarity(*moves, dim=0))) < 0.2


def test_private_ascent_follows_the_noisy_gradient(
    data: FederatedData, lenet: ModelConfig, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"method": "ascent", "fine_tune_rounds": 0, "radius": 1e6}
    fed = federation(data, lenet, dp_clip=0.5, dp_noise_multiplier=3.0)
    original, request, result = unlearned(fed, tmp_path, **settings)
    move = torch.cat(
        [(result.parameters[name] - value).flatten() for name, value in original.parameters.items()]
    )
    # One step of length 1 along the mean of four clipped gradients with noise 3 * 0.5 / 4.
    assert float(move.std()) == pytest.approx(3 * 0.5 / 4, rel=0.05)
    assert len(request.rows) == 4


def test_the_report_states_epsilon_and_what_it_leaves_out(tmp_path: Path) -> None:
    config = build_config(
        {
            "data": {"name": "digits", "auxiliary_size": 40, "train_size": 100},
            "model": {"name": "lenet"},
            "federation": {"clients": 2, "fraction": 1.0, "rounds": 1, "dp_noise_multiplier": 2.0},
            "unlearning": {"count": 2},
            "attack": {"name": "dragd", "iterations": 1, "control_size": 0},
            "scoring": {"bootstrap": 10},
        }
    )
    result = audit(config, out=tmp_path / "run")
    privacy = result.metrics.privacy
    assert privacy is not None
    assert 0 < privacy.epsilon_training < privacy.epsilon
    page = (result.folder / "report.html").read_text()
    assert "The clients train with DP-SGD (noise multiplier 2, clip norm 1)" in page
    assert "This epsilon does not include them." in page


def test_a_federation_without_dp_sgd_has_no_privacy_section(data: FederatedData) -> None:
    outcome = audit_outcome(data)
    assert isinstance(outcome.source, Federated)
    assert privacy_metrics(outcome.source) is None
    assert build_metrics(outcome, {}).privacy is None


def test_refuses_batch_normalization_and_dropout(data: FederatedData, resnet: ModelConfig) -> None:
    with pytest.raises(ModelError, match="mixes the samples of a batch"):
        train(federation(data, resnet))
    with pytest.raises(ModelError, match=r"Set model\.dropout to 0"):
        train(federation(data, ModelConfig(name="lenet", dropout=0.5)))
