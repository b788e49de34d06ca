import pytest

from palimpsest.attacks import IGFPlus
from palimpsest.errors import ConfigurationError
from palimpsest.reproduce import Cell, Study

CELLS = [Cell(name, "digits", {}) for name in ("convnet-sample", "convnet-class", "resnet20-sample")]
STUDY = Study("study", "A title", "A source", lambda: CELLS)


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ([], ["convnet-sample", "convnet-class", "resnet20-sample"]),
        (["*-sample"], ["convnet-sample", "resnet20-sample"]),
        (["resnet20*", "convnet-class"], ["convnet-class", "resnet20-sample"]),
    ],
)
def test_cells_are_selected_by_wildcards_in_order(patterns: list[str], names: list[str]) -> None:
    assert [cell.name for cell in STUDY.choose(patterns)] == names


def test_rejects_a_pattern_without_a_match() -> None:
    with pytest.raises(ConfigurationError, match=r"no cell 'convnet-clas': did you mean 'convnet-class'"):
        STUDY.choose(["convnet-clas"])


def test_a_cells_changes_win_over_overrides() -> None:
    cell = Cell("cell", "digits", {"attack": {"epochs": 3}})
    config = cell.config({"attack": {"epochs": 7, "width": 16}, "seed": 5}, seed=9)
    attack = config.attack.build()
    assert (attack.epochs, attack.width, config.seed) == (3, 16, 9)


def test_another_attack_has_its_own_defaults() -> None:
    cell = Cell("cell", "cifar10-convnet-retrain-sample", {"attack": {"name": "igf-plus"}})
    assert cell.config({}, seed=1).attack.build() == IGFPlus()
    asked = cell.config({"attack": {"batch_size": 9}}, seed=1).attack.build()
    assert asked == IGFPlus(batch_size=9)
