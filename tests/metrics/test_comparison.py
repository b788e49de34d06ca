import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.images import noisy_images, random_images
from torch import Tensor

from palimpsest.errors import ConfigurationError, DivergenceError
from palimpsest.metrics import Metric, compare, mean_squared_errors, psnr, right_ranks, ssim
from palimpsest.registry import METRICS

# The function-scoped fixture sets the same environment for every example, so hypothesis may reuse it.
same_environment = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_every_image_has_every_score(with_lpips):
    originals = random_images(6, 3, 12, 12)
    reconstructions = noisy_images(originals).clamp(0, 1)
    compared = compare(reconstructions, originals)
    assert torch.equal(compared.mse, mean_squared_errors(reconstructions, originals))
    assert torch.equal(compared.psnr, psnr(compared.mse))
    assert torch.equal(compared.ssim, ssim(reconstructions, originals))
    assert torch.equal(compared.right_rank, right_ranks(reconstructions, originals))
    assert list(compared.per_image()) == ["mse", "psnr", "ssim", "lpips", "rank"]
    assert compared.absent() == {}


@same_environment
@given(n=st.integers(1, 8), seed=st.integers(0, 50))
def test_means_do_not_depend_on_the_order_of_the_images(n, seed, without_weights):
    originals = random_images(n, 1, 6, 6, seed=seed)
    reconstructions = random_images(n, 1, 6, 6, seed=seed + 1)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    plain = compare(reconstructions, originals).aggregates()
    mixed = compare(reconstructions[order], originals[order]).aggregates()
    for name, value in plain.items():
        expected = value if name == "lpips_reason" else pytest.approx(value)
        assert mixed[name] == expected, name


@same_environment
@given(n=st.integers(1, 12), seed=st.integers(0, 50))
def test_identification_is_the_share_of_small_enough_ranks(n, seed, without_weights):
    compared = compare(random_images(n, 1, 3, 3, seed=seed), random_images(n, 1, 3, 3, seed=seed + 1))
    aggregates = compared.aggregates()
    for guesses in (1, 5):
        ranks = compared.right_rank.tolist()
        share = sum(rank <= guesses for rank in ranks) / n
        assert aggregates[f"identification_top{guesses}"] == pytest.approx(share)


def test_missing_lpips_is_absent_with_its_reason(without_weights):
    compared = compare(random_images(3, 3, 12, 12), random_images(3, 3, 12, 12, seed=1))
    assert "alexnet" in compared.absent()["lpips"]
    assert "lpips" not in compared.columns()
    assert compared.aggregates()["lpips"] is None


def test_additional_metrics_survive_storage(tmp_path) -> None:
    before = compare(
        random_images(3, 3, 12, 12, seed=0), random_images(3, 3, 12, 12, seed=1), metrics=["ncc"]
    )
    before.save(tmp_path / "scores.safetensors")
    after = type(before).load(tmp_path / "scores.safetensors")
    torch.testing.assert_close(after.further["ncc"], before.further["ncc"])


@pytest.mark.parametrize("answer", [torch.zeros(2), torch.full((3,), torch.nan), torch.zeros(3, 1)])
def test_rejects_a_metric_with_invalid_values(answer: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Metric):
        def __call__(self, reconstructions: Tensor, originals: Tensor) -> Tensor:
            return answer

    METRICS.names()
    monkeypatch.setitem(METRICS._components, "broken", Broken)
    with pytest.raises(DivergenceError, match="'broken'"):
        compare(random_images(3, 3, 12, 12, seed=0), random_images(3, 3, 12, 12, seed=1), metrics=["broken"])


def test_rejects_an_unknown_metric():
    images = random_images(2, 1, 4, 4)
    with pytest.raises(ConfigurationError, match="did you mean 'mae'"):
        compare(images, images, metrics=["maa"])
