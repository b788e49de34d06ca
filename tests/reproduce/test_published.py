from palimpsest.reproduce import STUDIES
from palimpsest.reproduce.published import TABLE_1, TABLE_2, TABLE_5


def test_published_values_are_in_their_cells() -> None:
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


def test_published_mse_and_psnr_are_consistent() -> None:
    """The mean of per-image PSNRs is at least the PSNR of the mean error, which a misprint would violate."""
    import math

    for published in [*TABLE_1.values(), *TABLE_2.values()]:
        assert 0 <= published.psnr + 10 * math.log10(published.mse) < 1.0


def test_published_hash_length_is_half_the_vector() -> None:
    assert TABLE_5["none"] // 2 == TABLE_5["hash"]
