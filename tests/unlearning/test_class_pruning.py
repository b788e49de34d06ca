import math

import pytest
import torch
from torch import nn

from palimpsest.config import ModelConfig, UnlearningConfig
from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, Schedule, accuracy, train
from palimpsest.models import load_parameters
from palimpsest.unlearning import ClassPruning, Place, class_activations, make_request, prune, tf_idf

CLASS = UnlearningConfig(scenario="class", classes=(1,))


def run(method, federation, original, request):
    return method(original, request, federation, schedule=Schedule(()), place=Place())


def test_scores_equal_the_formula():
    means = torch.tensor([[4.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 3.0, 0.0]])
    scores = tf_idf(means, 0)
    # Channel 0 is above its mean for one class of three, channel 1 for all (equality counts), channel 2 for one.
    expected = [0.8 * math.log(3 / 2), 0.2 * math.log(3 / 4), 0.0]
    assert scores.tolist() == pytest.approx(expected)
    assert tf_idf(torch.zeros(2, 3), 0).isfinite().all()


def test_activations_equal_a_reference_implementation(data, lenet, config):
    network = Federation(data, lenet, config(), 1).network()
    train_set = data.train
    means = class_activations(network, train_set.images, train_set.labels, 3)
    first = next(name for name, one in network.named_modules() if isinstance(one, nn.Conv2d))
    assert len(means) == 3
    seen = []
    network.get_submodule(first).register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        network(train_set.images)
    for label in range(3):
        expected = seen[0][train_set.labels == label].clamp(min=0).mean((0, 2, 3))
        torch.testing.assert_close(means[first][:, label].float(), expected, rtol=1e-4, atol=1e-6)


def test_prunes_filters_and_their_batch_norm():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 3))
    model.eval()
    prune(model, {"0": (0, 2), "3": (1,)})
    output = model[:2](torch.randn(1, 1, 5, 5, generator=torch.Generator().manual_seed(0)))
    assert output[:, [0, 2]].abs().max() == 0
    assert output[:, 1].abs().max() > 0
    assert model[3].weight[1].abs().max() == 0
    assert model[3].weight[0].abs().min() > 0


@pytest.mark.parametrize("model", ["lenet", "resnet"])
def test_pruned_channels_stay_zero_while_fine_tuning(request, data, config, model):
    federation = Federation(data, request.getfixturevalue(model), config(rounds=2), 1)
    original = train(federation)
    result = run(ClassPruning(share=0.3), federation, original, make_request(CLASS, data, seed=1))
    network = load_parameters(federation.network(), result.parameters)
    zero = sum(
        int((one.weight.flatten(1).abs().amax(1) == 0).sum())
        for one in network.modules()
        if isinstance(one, nn.Conv2d)
    )
    assert zero == result.facts["pruned_channels"] > 0


def test_forgets_the_class_and_keeps_the_others(data, config):
    federation = Federation(data, ModelConfig(name="convnet", width=8), config(rounds=8, local_epochs=3), 1)
    original = train(federation)
    forget = make_request(CLASS, data, seed=1)
    result = run(ClassPruning(share=0.3), federation, original, forget)
    model = load_parameters(federation.network(), original.parameters)
    assert accuracy(model, data.train.subset(forget.rows)) > 0.9
    load_parameters(model, result.parameters)
    assert accuracy(model, data.train.subset(forget.rows)) < 0.1
    assert accuracy(model, data.train.subset(forget.retained_rows)) > 0.9


def test_refuses_samples_and_models_without_convolutions(data, lenet, config):
    federation = Federation(data, lenet, config(rounds=1), 1)
    some = make_request(UnlearningConfig(count=5), data, seed=1)
    with pytest.raises(UnlearningError, match="also has retained samples"):
        run(ClassPruning(), federation, train(federation), some)
    private = Federation(data, lenet, config(rounds=1, dp_noise_multiplier=1.0), 1)
    with pytest.raises(UnlearningError, match="which DP-SGD does not protect"):
        run(ClassPruning(), private, train(federation), some)
    flat = Federation(data, ModelConfig(name="mlp", width=4), config(rounds=1), 1)
    with pytest.raises(UnlearningError, match="needs convolutions"):
        run(ClassPruning(), flat, train(flat), make_request(CLASS, data, seed=1))
