import torch
from torch import Tensor

from palimpsest.attacks.matching.label_probing import Probing, probe_labels

SHAPE = (1, 5, 5)
WEIGHTS = torch.randn(4, 25, generator=torch.Generator().manual_seed(0))


def model(lowered: int | None = None):
    """A linear classifier; unlearning has lowered one class's logit."""
    lift = torch.zeros(4)
    if lowered is not None:
        lift[lowered] = -3

    def confidence(images: Tensor) -> Tensor:
        return (images.flatten(1) @ WEIGHTS.T + lift).softmax(dim=1)

    return confidence


def test_finds_the_class_that_was_forgotten() -> None:
    for label in range(4):
        ranking = probe_labels(
            model(), model(label), shape=SHAPE, classes=4, generator=torch.Generator().manual_seed(1)
        )
        assert ranking[0] == label
        assert sorted(ranking.tolist()) == [0, 1, 2, 3]


def test_asks_for_nothing_but_confidences_of_images_in_the_box() -> None:
    asked: list[Tensor] = []

    def watched(images: Tensor) -> Tensor:
        asked.append(images)
        return model()(images)

    plan = Probing(images=3, iterations=4, directions=5)
    probe_labels(
        watched, watched, shape=SHAPE, classes=2, generator=torch.Generator().manual_seed(1), plan=plan
    )
    assert len(asked) > 4
    assert all(images.shape[1:] == SHAPE for images in asked)
    assert all(float(images.min()) >= -2e-3 and float(images.max()) <= 1 + 2e-3 for images in asked)


def test_probing_images_convince_the_original_model() -> None:
    sure = []

    def after(images: Tensor) -> Tensor:
        sure.append(model()(images))
        return model()(images)

    probe_labels(model(), after, shape=SHAPE, classes=4, generator=torch.Generator().manual_seed(1))
    for label, confidence in enumerate(sure):
        assert float(confidence[:, label].min()) > 0.9
