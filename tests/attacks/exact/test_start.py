"""Features and networks of the learned starts."""

from pathlib import Path

import torch
from tests.support.exact_cases import exact_case, max_pooled
from torch.testing import assert_close

from palimpsest.attacks.exact.start import LevelFeatures, SolvedPairs, Start


def test_features_are_standardized_maps_and_active_units() -> None:
    case = exact_case(max_pooled, count=64)
    images = case.images.float()
    features = LevelFeatures.fit(case.trunk, 1, images)
    outputs = case.trunk.levels(images)[1]
    found = features.transform(outputs).view(64, *features.maps)
    assert features.maps == (24, 2, 2)
    assert_close(found[:, :12].mean((0, 2, 3)), torch.zeros(12), atol=1e-4, rtol=0)
    assert_close(found[:, 12:], (outputs.flatten(1, 2) > 0).float())


def test_pairs_are_those_of_the_models() -> None:
    case = exact_case(max_pooled, count=8)
    images_uint8 = (case.images * 255).round().to(torch.uint8)
    features = LevelFeatures.fit(case.trunk, 1, case.images.float())
    pairs = SolvedPairs(case.trunk, features, images_uint8, torch.tensor([5, 2, 7]))
    assert len(pairs) == 3
    inputs, targets = next(pairs.batches(2, torch.tensor([2, 0, 1])))
    assert_close(targets, images_uint8[[7, 5]].float() / 255)
    assert_close(inputs, features.transform(case.trunk.levels(targets)[1]))


def test_a_start_is_stored(fitted, tmp_path: Path) -> None:
    start = fitted.state.starts[0]
    start.save(tmp_path / "start.safetensors")
    outputs = fitted.case.trunk.levels(fitted.case.images.float())[start.features.level]
    images = start.images(outputs, device="cpu")
    assert images.shape == fitted.case.images.shape
    assert_close(
        Start.load(tmp_path / "start.safetensors").images(outputs, device="cpu"), images, rtol=0, atol=0
    )
