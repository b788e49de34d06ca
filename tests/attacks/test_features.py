import torch

from palimpsest.attacks import AuditorView
from palimpsest.attacks.features import fit_features


def fitted(view: AuditorView, **settings):
    defaults = {"reduction": "svd", "explained_variance": 0.95, "components": None, "hash_rate": 0.5}
    return fit_features(view, **defaults | settings, generator=torch.Generator().manual_seed(0))


def test_auxiliary_features_are_what_the_same_transform_gives(view: AuditorView) -> None:
    for reduction in ("svd", "hash", "none"):
        features = fitted(view, reduction=reduction)
        answers = torch.cat(list(view.oracle.differences(view.auxiliary.images, view.auxiliary.labels)))
        torch.testing.assert_close(features.transform(answers), features.auxiliary, rtol=1e-3, atol=1e-4)


def test_every_feature_has_one_scale(view: AuditorView) -> None:
    features = fitted(view)
    torch.testing.assert_close(
        features.auxiliary.mean(0), torch.zeros(features.auxiliary.shape[1]), rtol=0, atol=1e-4
    )
    torch.testing.assert_close(
        features.auxiliary.std(0), torch.ones(features.auxiliary.shape[1]), rtol=1e-3, atol=0
    )


def test_facts_tell_what_was_kept(view: AuditorView) -> None:
    facts = fitted(view, explained_variance=0.9).facts
    assert facts["dimension"] == 40
    assert facts["auxiliary_images"] == 300
    assert facts["explained_variance"] >= 0.9
    assert facts["features"] < 40
    assert fitted(view, reduction="hash", hash_rate=0.25).facts["features"] == 10
