import pytest
import torch
from torch import Tensor

from palimpsest.attacks.learned.image_training import ImagePairs
from palimpsest.attacks.learned.surrogate import Surrogate, fit_surrogate, usual_widths


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def surrogate(seed: int) -> Surrogate:
    torch.manual_seed(seed)
    return Surrogate((1, 8, 8), (6, 2, 2), [8])


@pytest.mark.parametrize(
    ("shape", "maps"),
    [
        ((3, 32, 32), (128, 4, 4)),
        ((1, 28, 28), (64, 3, 3)),
        ((3, 16, 16), (8, 16, 16)),
        ((1, 8, 12), (6, 2, 3)),
    ],
)
def test_the_outputs_have_the_size_of_the_maps(
    shape: tuple[int, int, int], maps: tuple[int, int, int]
) -> None:
    inputs = Surrogate(shape, maps, usual_widths(shape, maps, 4))(
        torch.rand(2, *shape, generator=generator())
    )
    assert inputs.shape == (2, maps[0] * maps[1] * maps[2])
    assert (inputs >= 0).all()


def test_learns_the_inputs_of_the_last_layers() -> None:
    """The student learns another surrogate's outputs, also for images held out from training."""
    teacher, student = surrogate(0), surrogate(1)
    images_uint8 = (torch.rand(600, 1, 8, 8, generator=generator()) * 255).to(torch.uint8)
    with torch.no_grad():
        answers = teacher(images_uint8.float() / 255)
    scale = float(answers.std(0).mean())

    def fit(epochs: int) -> dict[str, list[float]]:
        return fit_surrogate(
            student,
            ImagePairs(answers / 2, images_uint8, torch.arange(500)),
            ImagePairs(answers / 2, images_uint8, torch.arange(500, 600)),
            lambda features: 2 * features,
            scale=scale,
            epochs=epochs,
            precision="float32",
            device="cpu",
            generator=generator(),
        )

    history = fit(40)
    assert len(history["surrogate_loss"]) == len(history["surrogate_validation"]) == 40
    assert not student.training
    # In these units, the variance of the answers is about one.
    assert history["surrogate_validation"][-1] < 0.25 * history["surrogate_validation"][0]
    with torch.no_grad():
        error: Tensor = ((student(images_uint8[500:].float() / 255) - answers[500:]) / scale).square().mean()
    assert float(error) == pytest.approx(history["surrogate_validation"][-1], rel=1e-4)


def test_without_validation_pairs_the_history_has_no_error() -> None:
    images = (torch.rand(20, 1, 8, 8, generator=generator()) * 255).to(torch.uint8)
    pairs = ImagePairs(torch.rand(20, 24, generator=generator()), images, torch.arange(20))
    empty = ImagePairs(pairs.features, images, torch.arange(0))
    history = fit_surrogate(
        surrogate(1),
        pairs,
        empty,
        lambda features: features,
        scale=1.0,
        epochs=2,
        precision="float32",
        device="cpu",
        generator=generator(),
    )
    assert history.keys() == {"surrogate_loss"}
