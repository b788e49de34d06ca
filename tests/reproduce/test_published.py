from palimpsest.reproduce import STUDIES
from palimpsest.reproduce.published import TABLE_1, TABLE_2, TABLE_5


def test_the_published_figures_stand_in_their_cells() -> None:
    cells = {cell.name: cell for cell in STUDIES["igf-table1"].cells()}
    assert len(cells) == len(TABLE_1) == 24
    assert cells["cifar10-convnet-sample-EFU"].published.mse == 0.0211
    assert cells["cifar100-resnet20-client-AFU"].published.lpips == 0.3627
    for name, cell in cells.items():
        config = cell.config({}, seed=1)
        data, model, scenario, method = name.split("-")
        assert (config.data.name, config.model.name, config.unlearning.scenario) == (data, model, scenario)
        assert config.unlearning.method == {"EFU": "retrain", "AFU": "ascent"}[method]
        assert f"{scenario}-level, {method}" in config.paper


def test_printed_errors_and_ratios_agree_with_each_other() -> None:
    """A mean of per-image PSNRs is at least the PSNR of the mean error: a misprint would break that."""
    import math

    for one in [*TABLE_1.values(), *TABLE_2.values()]:
        assert 0 <= one.psnr + 10 * math.log10(one.mse) < 1.0


def test_lengths_follow_from_the_parameters() -> None:
    assert TABLE_5["none"] // 2 == TABLE_5["hash"]
