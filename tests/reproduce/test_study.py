import pytest

from palimpsest.attacks import IGFPlus
from palimpsest.errors import ConfigurationError
from palimpsest.reproduce import STUDIES, Cell, Study

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
def test_cells_are_chosen_by_wildcards_in_the_studys_order(patterns: list[str], names: list[str]) -> None:
    assert [cell.name for cell in STUDY.choose(patterns)] == names


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no cell 'convnet-clas': did you mean 'convnet-class'"):
        STUDY.choose(["convnet-clas"])


def test_a_cells_changes_win_over_what_is_asked_of_every_cell() -> None:
    cell = Cell("cell", "digits", {"attack": {"epochs": 3}})
    config = cell.config({"attack": {"epochs": 7, "width": 16}, "seed": 5}, seed=9)
    attack = config.attack.build()
    assert (attack.epochs, attack.width, config.seed) == (3, 16, 9)


def test_another_attack_brings_its_own_settings() -> None:
    cell = Cell("cell", "cifar10-convnet-retrain-sample", {"attack": {"name": "igf-plus"}})
    assert cell.config({}, seed=1).attack.build() == IGFPlus()
    asked = cell.config({"attack": {"batch_size": 9}}, seed=1).attack.build()
    assert asked == IGFPlus(batch_size=9)


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES.keys())
def test_every_cell_is_a_valid_audit_and_no_two_are_the_same(study: Study) -> None:
    cells = study.cells()
    assert len({cell.name for cell in cells}) == len(cells) > 1
    configs = [cell.config({}, seed=1) for cell in cells]
    settings = [config.model_dump_json(exclude={"description", "paper"}) for config in configs]
    # Among the aggregations, FedAvg's preset is the default's twin and stands once.
    assert len(set(settings)) == len(cells)
    if study.picture == "curve":
        assert [cell.position for cell in cells] == sorted({cell.position for cell in cells})


def test_each_ablation_differs_from_igf_plus_in_its_attack_alone() -> None:
    whole, *others = STUDIES["igf-ablation"].cells()
    reference = whole.config({}, seed=1)
    assert reference.attack.build() == IGFPlus(queries=4, width=96, matching=0)
    for cell in others:
        config = cell.config({}, seed=1)
        assert config.model_copy(update={"attack": reference.attack}) == reference
        assert config.attack != reference.attack


def test_ablations_of_the_queries_take_as_many_steps() -> None:
    cells = {cell.name: cell.config({}, seed=1).attack.build() for cell in STUDIES["igf-ablation"].cells()}
    for name in ("auxiliary-images-alone", "mirrored-queries", "more-queries"):
        assert (
            cells[name].queries * cells[name].epochs
            == 16
            == cells["igf-plus"].queries * cells["igf-plus"].epochs
        )
