import torch
from torch import Tensor

from palimpsest.attacks.matching.label_probing import Probing, probe_labels

SHAPE = (1, 5, 5)
WEIGHTS = torch.randn(4, 25, generator=torch.Generator().manual_seed(0))


def model(lowered: int | None = None):
    """Return a linear classifier, optionally with a lowered logit for an unlearned class."""
    offset = torch.zeros(4)
    if lowered is not None:
        offset[lowered] = -3

    def confidence(images: Tensor) -> Tensor:
        return (images.flatten(1) @ WEIGHTS.T + offset).softmax(dim=1)

    return confidence


def test_finds_the_forgotten_class() -> None:
    for label in range(4):
        ranking = probe_labels(
            model(), model(label), shape=SHAPE, classes=4, generator=torch.Generator().manual_seed(1)
        )
        assert ranking[0] == label
        assert sorted(ranking.tolist()) == [0, 1, 2, 3]


def test_queries_only_images_near_the_box() -> None:
    queries: list[Tensor] = []

    def recorded(images: Tensor) -> Tensor:
        queries.append(images)
        return model()(images)

    settings = Probing(images=3, iterations=4, directions=5)
    probe_labels(
        recorded,
        recorded,
        shape=SHAPE,
        classes=2,
        generator=torch.Generator().manual_seed(1),
        settings=settings,
    )
    assert len(queries) > 4
    assert all(images.shape[1:] == SHAPE for images in queries)
    assert all(float(images.min()) >= -2e-3 and float(images.max()) <= 1 + 2e-3 for images in queries)


def test_original_model_is_certain_of_the_probing_images() -> None:
    confidences = []

    def after(images: Tensor) -> Tensor:
        confidences.append(model()(images))
        return model()(images)

    probe_labels(model(), after, shape=SHAPE, classes=4, generator=torch.Generator().manual_seed(1))
    for label, confidence in enumerate(confidences):
        assert float(confidence[:, label].min()) > 0.9
