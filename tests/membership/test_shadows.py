import pytest
import torch

from palimpsest.config import read_config
from palimpsest.datasets import load_data
from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, predict
from palimpsest.membership import Answers, Split, make_pool, make_splits, train_shadow, unlearn_shadow
from palimpsest.models import load_parameters
from palimpsest.randomness import make_generator
from palimpsest.unlearning import make_request


@pytest.fixture(scope="module")
def prepared():
    """Return a tiny federation, its candidates, and its unlearning settings."""
    config = read_config(
        "digits",
        {
            "data": {"train_size": 60, "auxiliary_size": 20},
            "model": {"name": "mlp", "width": 4},
            "federation": {"clients": 3, "fraction": 1.0, "rounds": 2, "local_epochs": 1},
            "unlearning": {"count": 12},
        },
    )
    data = load_data(config.data, clients=3, seed=1)
    federation = Federation(data, config.model, config.federation, 1)
    request = make_request(config.unlearning, data, seed=1)
    pool = make_pool(data, request, count=10, generator=make_generator(1, "test"))
    return federation, pool, config.unlearning


def test_splits_cover_each_candidate_in_half_of_the_federations(prepared):
    federation, pool, _ = prepared
    splits = make_splits(federation, pool, 4)
    members = torch.stack([split.members for split in splits])
    assert members.shape == (4, len(pool.rows))
    assert (members.sum(0) == 2).all()
    assert len({split.federation.seed for split in splits} | {federation.seed}) == 5
    for split in splits:
        held = torch.cat(split.federation.data.clients)
        assert torch.equal(torch.isin(pool.rows, held), split.members)


def test_splits_follow_from_the_seed(prepared):
    federation, pool, _ = prepared
    once, again = (make_splits(federation, pool, 2) for _ in range(2))
    assert all(torch.equal(one.members, two.members) for one, two in zip(once, again, strict=True))


@pytest.mark.parametrize("count", [0, 3])
def test_the_number_of_shadow_federations_is_even(prepared, count):
    federation, pool, _ = prepared
    with pytest.raises(UnlearningError, match=f"There are {count} shadow federations"):
        make_splits(federation, pool, count)


def test_a_shadow_federation_trains_and_forgets_like_any_other(prepared):
    federation, pool, unlearning = prepared
    split = make_splits(federation, pool, 2)[0]
    training = train_shadow(split, ensure=True)
    forgot = unlearn_shadow(split, training, unlearning)
    left = Split(split.index, split.federation, split.request, split.members)
    schedule = left.federation.schedule(ensure=left.request.clients)
    expected = left.federation.run("retrain", left.request.retained, schedule).parameters
    assert all(torch.equal(forgot[name], expected[name]) for name in expected)
    assert any(not torch.equal(forgot[name], training.parameters[name]) for name in expected)


def test_answers_are_the_logits_of_candidates_and_population(prepared):
    federation, pool, _ = prepared
    answers, parameters = Answers(federation, pool), federation.network().state_dict()
    logits = answers(parameters)
    network = load_parameters(federation.network(), parameters)
    assert torch.equal(logits[: len(pool.rows)], predict(network, pool.data.train.images[pool.rows]))
    assert torch.allclose(logits[len(pool.rows) :], predict(network, pool.population.images), atol=1e-6)
    assert len(answers(parameters, population=False)) == len(pool.rows)
    assert len(answers.labels) == len(logits)
