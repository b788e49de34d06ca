"""Cells and columns that the studies of a server's attacks share."""

from tests.support.pages import unscored_metrics

from palimpsest.reproduce.server_cells import (
    ATTACKS,
    PARAMETER_DISTANCE,
    PRIOR,
    RETAINED,
    ascent_step,
    server_cell,
)


def test_a_cell_has_its_attack_without_a_control_and_its_changes() -> None:
    cell = server_cell(
        "name", "cifar10", ATTACKS["dragd"], position=2.0, observation={"retained": 3}, series="a"
    )
    config = cell.config({}, seed=5)
    assert (cell.name, cell.preset, cell.position, cell.series) == ("name", "cifar10-dragdp", 2.0, "a")
    assert (config.attack.name, config.attack.build().control_size) == ("dragd", 0)
    assert (config.observation.retained, config.seed) == (3, 5)


def test_an_ascent_step_is_one_step_of_a_length() -> None:
    method = (
        server_cell("name", "mnist", ATTACKS["dragd"], unlearning=ascent_step(0.5, 7))
        .config({}, 1)
        .unlearning
    )
    settings = method.build()
    assert method.count == 7
    assert (settings.steps, settings.radius, settings.fine_tune_rounds) == (1, 0.5, 0)


def test_a_column_reads_its_number_or_is_absent() -> None:
    bare = unscored_metrics()
    assert [column.read(bare) for column in (RETAINED, *PRIOR, PARAMETER_DISTANCE)] == [None] * 4
    moved = PARAMETER_DISTANCE.read(unscored_metrics(parameter_distance=0.25))
    assert moved is not None
    assert moved.value == 0.25
