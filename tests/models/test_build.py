import pytest
import torch
from torch import nn

from palimpsest.config import ModelConfig
from palimpsest.errors import CheckpointError, ModelError
from palimpsest.gradients import parameter_count
from palimpsest.models import build_model, load_parameters
from palimpsest.registry import MODELS, Component
from palimpsest.storage import parameters_hash

SHAPE, CLASSES = (1, 8, 8), 10


def make(name="convnet", seed=1, **settings):
    return build_model(ModelConfig(name=name, **settings), shape=SHAPE, classes=CLASSES, seed=seed)


@pytest.fixture
def registered(monkeypatch):
    MODELS.names()  # registers the built-in models before monkeypatch saves the state

    def register(component):
        monkeypatch.setitem(MODELS._components, "under-test", component)
        return "under-test"

    return register


@pytest.mark.parametrize(
    "settings", [{}, {"name": "lenet", "initialization": "uniform"}, {"name": "resnet20"}]
)
def test_the_seed_determines_the_parameters(settings):
    first, again, other = make(**settings), make(**settings), make(**settings, seed=2)
    assert parameters_hash(first.state_dict()) == parameters_hash(again.state_dict())
    assert parameters_hash(first.state_dict()) != parameters_hash(other.state_dict())


def test_is_independent_of_the_global_random_state():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = make()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert parameters_hash(first.state_dict()) == parameters_hash(make().state_dict())


def test_uses_the_settings_of_the_configuration():
    assert parameter_count(make(width=4)) < parameter_count(make(width=8))


def test_returns_a_model_in_training_mode_with_initial_statistics():
    model = make("resnet20", width=2)
    assert model.training
    means = [buffer for name, buffer in model.named_buffers() if name.endswith("running_mean")]
    assert len(means) > 10
    assert all(buffer.eq(0).all() for buffer in means)


@pytest.mark.parametrize(("shape", "classes"), [((0, 8, 8), 10), ((1, 8, 0), 10), ((1, 8, 8), 0)])
def test_rejects_empty_shapes(shape, classes):
    with pytest.raises(ModelError, match="1 or more"):
        build_model(ModelConfig(), shape=shape, classes=classes, seed=1)


def test_rejects_a_model_that_returns_no_logits(registered):
    class Identity(Component):
        def __call__(self, shape, classes):
            return nn.Identity()

    with pytest.raises(ModelError, match=r"'under-test' returns \(1, 1, 8, 8\) .* \(1, 10\)"):
        make(registered(Identity))


def test_rejects_a_model_that_does_not_accept_the_images(registered):
    class Narrow(Component):
        def __call__(self, shape, classes):
            return nn.Linear(5, classes)

    with pytest.raises(ModelError, match=r"'under-test' can't take images of shape \(1, 8, 8\)"):
        make(registered(Narrow))


def test_loads_parameters_and_buffers_in_place():
    source, target = make("resnet20", seed=1, width=2), make("resnet20", seed=2, width=2)
    source(torch.rand(4, *SHAPE))  # updates the running statistics
    assert load_parameters(target, source.state_dict()) is target
    assert parameters_hash(target.state_dict()) == parameters_hash(source.state_dict())


def test_loads_a_network_that_looks_for_the_version_of_its_state_dict():
    class Versioned(nn.Linear):
        """A layer that refuses a state dict without a version, like torchvision's MNASNet."""

        _version = 2

        def _load_from_state_dict(self, state, prefix, metadata, *others):
            if metadata.get("version") is None:
                raise ValueError("version should be set")
            super()._load_from_state_dict(state, prefix, metadata, *others)

    source, target = Versioned(2, 3), Versioned(2, 3)
    stored = {name: value.clone() for name, value in source.state_dict().items()}
    load_parameters(target, stored)
    assert torch.equal(target.weight, source.weight)


def test_names_the_first_missing_key():
    parameters = make().state_dict()
    del parameters["0.bias"], parameters["3.weight"]
    with pytest.raises(CheckpointError, match=r"lack '0\.bias'"):
        load_parameters(make(), parameters)


def test_names_the_first_unexpected_key():
    parameters = make().state_dict() | {"module.0.weight": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"no parameter 'module\.0\.weight'"):
        load_parameters(make(), parameters)


def test_names_the_first_wrong_shape_and_changes_nothing():
    model, before = make(width=4), make(width=4)
    with pytest.raises(CheckpointError, match=r"'0\.weight' has shape \(8, 1, 3, 3\).*\(4, 1, 3, 3\)"):
        load_parameters(model, make(width=8).state_dict())
    parameters = make(width=4, seed=2).state_dict()
    parameters["9.bias"] = torch.zeros(3)
    with pytest.raises(CheckpointError, match=r"9\.bias"):
        load_parameters(model, parameters)
    assert parameters_hash(model.state_dict()) == parameters_hash(before.state_dict())
    assert make(width=4).state_dict().keys() == before.state_dict().keys()
