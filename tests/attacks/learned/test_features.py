from pathlib import Path

import pytest
import torch
from torch import Tensor

from palimpsest.attacks import AuditorView
from palimpsest.attacks.learned.augmentation import augmented_queries
from palimpsest.attacks.learned.extractors import FeatureExtractor, fit_reduction
from palimpsest.attacks.learned.features import FeatureExtractors, Features, fit_features, query_again
from palimpsest.reduction import CountSketch


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def fitted(
    view: AuditorView, per_image: int = 1, *, sketch: CountSketch | None = None, **settings
) -> tuple[Features, Tensor]:
    defaults = {"reduction": "svd", "normalize": False}

    def fit(vectors: Tensor, labels: Tensor) -> FeatureExtractors:
        reduced = fit_reduction(vectors, **defaults | settings, generator=generator())
        return FeatureExtractors(others=[reduced], facts=reduced.facts)

    queries = augmented_queries(view.auxiliary, per_image, generator=generator())
    return fit_features(view, queries, fit, sketch=sketch)


def answers(view: AuditorView, per_image: int = 1) -> Tensor:
    queries = augmented_queries(view.auxiliary, per_image, generator=generator())
    return torch.cat(list(view.oracle.differences(queries.images_uint8 / 255, queries.labels)))


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("reduction", ["svd", "hash", "none"])
def test_queries_and_proofs_have_the_same_transform(
    view: AuditorView, reduction: str, normalize: bool
) -> None:
    features, queries = fitted(view, 3, reduction=reduction, normalize=normalize)
    assert queries.shape == (900, features.count)
    torch.testing.assert_close(features.transform(answers(view, 3)), queries, rtol=2e-3, atol=2e-3)


def test_the_sketch_is_part_of_the_transform_and_stored_with_it(view: AuditorView, tmp_path: Path) -> None:
    sketch = CountSketch.draw(40, 25, generator=generator())
    features, queries = fitted(view, 3, sketch=sketch, explained_variance=0.9)
    assert features.facts["sketch"] == 25
    assert 0 < features.facts["sketch_distortion"] < 1
    assert queries.shape == (900, features.count)
    torch.testing.assert_close(features.transform(answers(view, 3)), queries, rtol=2e-3, atol=2e-3)
    features.save(tmp_path / "features.safetensors")
    loaded = Features.load(tmp_path / "features.safetensors")
    assert torch.equal(features.transform(answers(view)), loaded.transform(answers(view)))


def test_features_are_restored_up_to_float16_rounding(view: AuditorView) -> None:
    features, queries = fitted(view)
    raw = features.extractors[0].transform(answers(view))
    torch.testing.assert_close(
        features.restore(queries, 5), raw[:, :5], rtol=2e-3, atol=2e-3 * float(raw.std())
    )


def test_features_have_mean_zero_and_deviation_one(view: AuditorView) -> None:
    features = fitted(view)[1].float()
    torch.testing.assert_close(features.mean(0), torch.zeros(features.shape[1]), rtol=0, atol=1e-3)
    torch.testing.assert_close(features.std(0), torch.ones(features.shape[1]), rtol=1e-2, atol=0)


def test_rows_of_features_are_bounded(view: AuditorView) -> None:
    features, queries = fitted(view)
    longer = features.transform(torch.cat([answers(view)[:1], 1e6 * answers(view)[:1]])).float()
    torch.testing.assert_close(longer[0], queries[0].float(), rtol=2e-3, atol=2e-3)
    assert longer[1].square().mean().sqrt() == pytest.approx(5, rel=1e-3)


def test_facts_count_queries_and_features(view: AuditorView) -> None:
    facts = fitted(view, 2, explained_variance=0.9)[0].facts
    assert facts["dimension"] == 40
    assert facts["auxiliary_images"] == 300
    assert facts["queries"] == 600
    assert facts["explained_variance"] >= 0.9
    assert facts["features"] == facts["components"] < 40
    assert fitted(view, reduction="hash", hash_rate=0.25)[0].facts["features"] == 10


def test_all_cells_of_a_channel_share_one_scale(view: AuditorView) -> None:
    class Cells(FeatureExtractor):
        """Two channels of 2 x 2 cells: the first eight coordinates, scaled."""

        def transform(self, vectors: Tensor) -> Tensor:
            return vectors[:, :8] * torch.tensor([1.0, 2.0, 3.0, 4.0, 1.0, 1.0, 1.0, 1.0])

    queries = augmented_queries(view.auxiliary, 1, generator=generator())
    features, _ = fit_features(
        view, queries, lambda vectors, labels: FeatureExtractors(spatial=[Cells()], map_size=(2, 2))
    )
    assert features.maps == (2, 2, 2)
    assert features.scale.view(2, 4).std(1).max() < 1e-6
    raw = Cells().transform(answers(view)).view(300, 2, 4)
    torch.testing.assert_close(
        features.scale[::4], raw.transpose(1, 2).reshape(-1, 2).std(0), rtol=1e-2, atol=0
    )


def test_stored_features_transform_alike(view: AuditorView, tmp_path: Path) -> None:
    for reduction in ("svd", "hash", "none"):
        features, _ = fitted(view, reduction=reduction, normalize=True)
        features.save(tmp_path / "features.safetensors")
        loaded = Features.load(tmp_path / "features.safetensors")
        assert torch.equal(features.transform(answers(view)), loaded.transform(answers(view)))


def test_a_deterministic_oracle_gives_the_same_features_again(view: AuditorView) -> None:
    queries = augmented_queries(view.auxiliary, 3, generator=generator())
    features, first = fitted(view, 3)
    torch.testing.assert_close(query_again(view, queries, features), first, rtol=2e-3, atol=2e-3)
