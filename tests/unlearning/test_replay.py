import pytest
import torch

from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, History, Schedule, train
from palimpsest.unlearning import Place, replay
from palimpsest.unlearning.replay import stored_history


@pytest.mark.parametrize(
    ("model", "aggregation"), [("lenet", "fedavg"), ("lenet", "fedadam"), ("resnet", "fedavg")]
)
def test_equals_the_models_of_training(request, data, config, tmp_path, model, aggregation):
    federation = Federation(
        data, request.getfixturevalue(model), config(rounds=2, aggregation=aggregation), 1
    )
    original = train(federation, history=tmp_path)
    models = list(replay(original, federation, History(tmp_path)))
    assert len(models) == 3
    for rounds, replayed in enumerate(models):
        schedule = Schedule(tuple(one.drawn for one in original.rounds[:rounds]))
        expected = federation.run("train", data.clients, schedule).parameters
        for name, value in expected.items():
            if value.is_floating_point():
                torch.testing.assert_close(replayed[name], value, rtol=1e-4, atol=1e-5)


def test_needs_a_stored_history():
    with pytest.raises(UnlearningError, match="'fedrecovery' needs the clients' updates"):
        stored_history(Place(), "fedrecovery")
