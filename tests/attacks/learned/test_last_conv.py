import torch
from torch import Tensor, nn

from palimpsest.attacks.learned.last_conv import LastConvolution, find_last_convolution, fit_patches
from palimpsest.attacks.learned.last_linear import LastLinear
from palimpsest.gradients import gradient_differences
from palimpsest.models import ConvNet, ResNet20


def model(seed: int) -> nn.Sequential:
    """Build a model of 16-pixel images, with a last map of 24 channels and 2 x 2 windows."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(4),
        nn.Conv2d(6, 24, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(96, 4),
    )


LAST_LINEAR = LastLinear(4, 96)


def samples(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(count, 1, 5, 5, generator=generator)
    images = nn.functional.interpolate(small, size=(16, 16), mode="bilinear")
    return images, torch.randint(4, (count,), generator=generator)


def test_finds_the_last_convolution_and_its_part_of_the_vectors() -> None:
    original = model(1)
    found = find_last_convolution(original.to("meta"), LAST_LINEAR)
    assert found == LastConvolution(offset=60, shape=(24, 6, 3, 3), windows=4)
    vectors = torch.arange(2.0 * 3000).view(2, 3000)
    rows = found.rows(vectors)
    assert rows.shape == (2, 24, 54)
    assert rows[0, 0, 0] == 60
    assert rows[1, 23, 53] == 3000 + 60 + 24 * 54 - 1


def test_returns_none_if_a_norm_follows_the_convolution() -> None:
    assert find_last_convolution(ResNet20()((3, 32, 32), 10), LastLinear(10, 64)) is None
    found = find_last_convolution(ConvNet()((3, 32, 32), 10), LastLinear(10, 1024))
    assert found == LastConvolution(offset=19392, shape=(64, 64, 3, 3), windows=16)


def test_estimates_the_input_patches_of_the_convolution() -> None:
    """The estimates, made without the parameters, predict the models' true mean patches."""
    original, unlearned = model(1), model(2)
    images, labels = samples(1500, seed=3)
    vectors = gradient_differences(original, unlearned, images, labels)
    convolution = find_last_convolution(original, LAST_LINEAR)
    assert convolution is not None
    extractor = fit_patches(LAST_LINEAR, convolution, vectors, labels, components=8)
    images, labels = samples(300, seed=4)
    estimates = extractor.transform(gradient_differences(original, unlearned, images, labels))
    assert estimates.shape == (300, 2 * 8 * 4)

    truth = []
    for network in (original, unlearned):
        with torch.no_grad():
            patches = nn.functional.unfold(network[:3](images), 3, padding=1).view(300, 54, 4, 4)
            truth.append(nn.functional.avg_pool2d(patches, 2).flatten(2))
    expected = torch.stack(truth, 1).transpose(2, 3).flatten(1)
    # A linear map from estimates to true patches must explain half of the variance on other samples.
    inputs = nn.functional.pad(estimates, (0, 1), value=1.0)
    fitted = torch.linalg.lstsq(inputs[:200], expected[:200]).solution
    unexplained = (expected[200:] - inputs[200:] @ fitted).square().sum()
    assert unexplained < 0.5 * (expected[200:] - expected[:200].mean(0)).square().sum()


def test_the_same_vectors_give_the_same_estimate() -> None:
    original, unlearned = model(1), model(2)
    images, labels = samples(200, seed=3)
    vectors = gradient_differences(original, unlearned, images, labels)
    convolution = find_last_convolution(original, LAST_LINEAR)
    assert convolution is not None
    first, second = (fit_patches(LAST_LINEAR, convolution, vectors, labels, components=4) for _ in range(2))
    assert torch.equal(first.transform(vectors), second.transform(vectors))
    torch.testing.assert_close(
        first.transform(vectors[3:5]), first.transform(vectors)[3:5], rtol=1e-3, atol=1e-4
    )
