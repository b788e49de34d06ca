import pytest

from palimpsest.errors import ConfigurationError
from palimpsest.reproduce.forgetting_settings import LEVELS, PAIRS, SETTINGS, choose


def test_two_levels_on_two_data_sets_and_an_axis_of_levels():
    assert [setting.name for setting in SETTINGS] == [
        "cifar10-paper",
        "cifar10-memorizing",
        "mnist-paper",
        "mnist-memorizing",
    ]
    epochs = [setting.local_epochs for setting in LEVELS]
    assert epochs == sorted(set(epochs))
    for setting in (*SETTINGS, *LEVELS):
        config = setting.config({}, seed=3)
        assert config.seed == 3
        assert config.federation.local_epochs == setting.local_epochs
        assert config.unlearning.count == PAIRS


def test_overrides_win():
    config = SETTINGS[0].config({"data": {"train_size": 50}, "unlearning": {"count": 5}}, seed=1)
    assert (config.data.name, config.data.train_size, config.unlearning.count) == ("cifar10", 50, 5)


def test_cells_are_chosen_by_setting_or_by_method():
    methods = ("ascent", "rapid", "retrain")
    assert [choice.methods for choice in choose(SETTINGS, methods, ())] == [
        ("retrain", "ascent", "rapid")
    ] * 4
    (choice,) = choose(SETTINGS, methods, ["mnist-paper"])
    assert (choice.setting.name, choice.methods) == ("mnist-paper", ("retrain", "ascent", "rapid"))
    chosen = choose(SETTINGS, methods, ["*-paper/rapid"])
    assert [(one.setting.name, one.methods) for one in chosen] == [
        ("cifar10-paper", ("retrain", "rapid")),
        ("mnist-paper", ("retrain", "rapid")),
    ]


def test_unknown_cells_and_methods_are_refused():
    with pytest.raises(ConfigurationError, match="no cell 'mnist-papers'"):
        choose(SETTINGS, ("retrain",), ["mnist-papers"])
    with pytest.raises(ConfigurationError, match="no unlearning method 'forget'"):
        choose(SETTINGS, ("forget",), ())
