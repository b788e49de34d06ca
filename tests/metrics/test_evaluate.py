import json
import math

import pytest
import torch
from tests.support.images import noisy_images, random_image_set

from palimpsest.datasets import ImageSet
from palimpsest.errors import DatasetError, DivergenceError
from palimpsest.metrics import (
    Scores,
    binomial_interval,
    bootstrap_intervals,
    compare,
    evaluate,
    mean_image,
    nearest_images,
)
from palimpsest.metrics import comparison as comparison_module

pytestmark = pytest.mark.usefixtures("without_weights")


def score(reconstructions, originals, auxiliary, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return evaluate(reconstructions, originals, auxiliary, bootstrap=100, generator=generator)


def test_aggregates_are_means_over_images(with_lpips):
    originals, auxiliary = random_image_set(12), random_image_set(5, seed=1)
    scores = score(noisy_images(originals.images), originals, auxiliary)
    summary = scores.reconstruction()
    assert set(summary) == {
        "mse",
        "psnr",
        "psnr_of_mean_mse",
        "ssim",
        "lpips",
        "identification_top1",
        "identification_top5",
        "count",
    }
    for name in ("mse", "psnr", "ssim", "lpips"):
        assert summary[name] == pytest.approx(getattr(scores, name).mean().item())
    assert summary["psnr_of_mean_mse"] == pytest.approx(-10 * math.log10(summary["mse"]))
    assert summary["psnr_of_mean_mse"] <= summary["psnr"]
    assert summary["count"] == 12
    assert scores.chance() == {"identification_top1": 1 / 12, "identification_top5": 5 / 12}


def test_identification_follows_from_the_ranks():
    originals = random_image_set(12)
    reconstructions = originals.images.roll(1, dims=0)  # Every sample gets the image of another one.
    reconstructions[:3] = originals.images[:3]
    scores = score(reconstructions, originals, random_image_set(2, seed=1))
    assert scores.reconstruction()["identification_top1"] == 3 / 12
    assert scores.right_rank[:3].tolist() == [1, 1, 1]
    assert (scores.right_rank[3:] > 1).all()
    assert scores.reconstruction()["identification_top5"] == (scores.right_rank <= 5).double().mean().item()


def test_baselines_are_scored_like_attacks(with_lpips):
    originals, auxiliary = random_image_set(6), random_image_set(40, seed=1)
    scores = score(noisy_images(originals.images), originals, auxiliary)
    answers = {
        "mean_image": mean_image(auxiliary.images, 6),
        "nearest_auxiliary": nearest_images(originals.images, auxiliary.images),
    }
    assert scores.baselines == {
        name: compare(answer, originals.images).aggregates() for name, answer in answers.items()
    }
    assert scores.baselines["mean_image"]["identification_top1"] == pytest.approx(1 / 6)


def test_intervals_contain_the_means_and_depend_on_the_generator():
    originals, auxiliary = random_image_set(20), random_image_set(5, seed=1)
    scores = score(noisy_images(originals.images, 0.4), originals, auxiliary)
    summary = scores.reconstruction()
    assert set(scores.intervals) == {"mse", "psnr", "ssim", "identification_top1", "identification_top5"}
    for name, (low, high) in scores.intervals.items():
        assert low <= summary[name] <= high, name
    again = score(noisy_images(originals.images, 0.4), originals, auxiliary)
    other = score(noisy_images(originals.images, 0.4), originals, auxiliary, seed=4)
    assert scores.intervals == again.intervals != other.intervals


def test_unavailable_lpips_is_absent_with_a_reason():
    originals = random_image_set(4)
    scores = score(noisy_images(originals.images), originals, random_image_set(3, seed=1))
    for summary in (scores.reconstruction(), *scores.baselines.values()):
        assert summary["lpips"] is None
        assert "alexnet" in summary["lpips_reason"]
    assert scores.lpips.shape == (0,)
    assert scores.lpips.dtype == torch.float64
    assert scores.absent() == {"lpips": scores.lpips_reason}
    assert "lpips" not in scores.per_image()


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("perfect", [True, False])
def test_results_are_json_without_nan(count, perfect):
    originals = random_image_set(count)
    reconstructions = originals.images if perfect else torch.zeros_like(originals.images)
    scores = score(reconstructions, originals, ImageSet("same", originals.images, originals.labels, 1))
    tree = [scores.reconstruction(), scores.intervals, scores.baselines, scores.chance()]
    assert json.loads(json.dumps(tree, allow_nan=False)) == tree
    if perfect:
        assert scores.reconstruction()["psnr"] == 100
    assert scores.chance()["identification_top5"] == 1


def test_scores_survive_storage(tmp_path):
    originals = random_image_set(5)
    scores = score(noisy_images(originals.images), originals, random_image_set(3, seed=1))
    scores.save(tmp_path / "score.safetensors")
    loaded = Scores.load(tmp_path / "score.safetensors")
    assert loaded.reconstruction() == scores.reconstruction()
    assert (loaded.intervals, loaded.baselines) == (scores.intervals, scores.baselines)
    assert torch.equal(loaded.right_rank, scores.right_rank)
    assert type(loaded.baselines["mean_image"]["count"]) is int


def test_clamps_values_outside_the_range():
    originals = random_image_set(5)
    wild = noisy_images(originals.images, 2.0)
    expected = compare(wild.clamp(0, 1), originals.images)
    assert torch.equal(score(wild.double(), originals, random_image_set(3, seed=1)).mse, expected.mse)


def test_names_the_first_reconstruction_that_is_not_finite():
    originals = random_image_set(5)
    reconstructions = originals.images.clone()
    reconstructions[2, 0, 3, 3] = math.nan
    reconstructions[4, 0, 0, 0] = math.inf
    with pytest.raises(DivergenceError, match=r"2 of 5 .* number 2"):
        score(reconstructions, originals, random_image_set(3, seed=1))


def test_rejects_mismatched_or_empty_inputs():
    originals, auxiliary = random_image_set(5), random_image_set(3, seed=1)
    with pytest.raises(DatasetError, match="one reconstruction for each original"):
        score(originals.images[:4], originals, auxiliary)
    with pytest.raises(DatasetError, match="auxiliary images have shape"):
        score(originals.images, originals, random_image_set(3, shape=(1, 4, 4)))
    with pytest.raises(DatasetError, match="0 forgotten and 3 auxiliary"):
        score(originals.images[:0], random_image_set(0), auxiliary)
    with pytest.raises(DatasetError, match="5 forgotten and 0 auxiliary"):
        score(originals.images, originals, random_image_set(0))


def test_per_image_scores_contain_ranks_instead_of_identification(with_lpips):
    originals = random_image_set(6)
    scores = score(noisy_images(originals.images), originals, random_image_set(3, seed=1))
    per_image = scores.per_image()
    assert set(per_image) == {"mse", "psnr", "ssim", "lpips", "rank"}
    assert torch.equal(per_image["rank"], scores.right_rank)
    assert torch.equal(per_image["mse"], scores.mse)
    assert scores.absent() == {}
    assert scores.meanings() == {}


def test_network_and_metrics_also_apply_to_the_baselines(monkeypatch):
    networks = []

    def distance(images, originals, *, network):
        networks.append(network)
        return (images - originals).abs().flatten(1).mean(1).double()

    monkeypatch.setattr(comparison_module, "lpips", distance)
    originals, auxiliary = random_image_set(6), random_image_set(3, seed=1)
    scores = evaluate(
        noisy_images(originals.images),
        originals,
        auxiliary,
        lpips_network="squeeze",
        metrics=["mae"],
        bootstrap=10,
        generator=torch.Generator(),
    )
    assert networks == ["squeeze"] * 3
    assert all("mae" in baseline for baseline in scores.baselines.values())
    assert scores.meanings()["mae"].keys() == {"label", "meaning", "better"}
    assert all(scores.meanings()["mae"].values())


def test_intervals_use_the_requested_number_of_resamples():
    originals = random_image_set(6)
    scores = evaluate(
        noisy_images(originals.images, 0.4),
        originals,
        random_image_set(3, seed=1),
        bootstrap=7,
        generator=torch.Generator().manual_seed(2),
    )
    columns = torch.stack(list(scores.columns().values()), dim=1)
    expected = bootstrap_intervals(columns, resamples=7, generator=torch.Generator().manual_seed(2))
    resampled = dict(zip(scores.columns(), expected.tolist(), strict=True))
    shares = {name for name in resampled if name.startswith("identification_")}
    assert shares
    assert all(scores.intervals[name] == ends for name, ends in resampled.items() if name not in shares)
    for name in shares:
        right = int(scores.columns()[name].sum())
        assert scores.intervals[name] == list(binomial_interval(right, len(originals)))
