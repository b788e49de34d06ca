import torch
from torch import Tensor, nn

from palimpsest.attacks.learned.last_conv import LastConvolution, find_last_convolution, fit_patches
from palimpsest.attacks.learned.last_linear import LastLinear
from palimpsest.gradients import gradient_differences
from palimpsest.models import ConvNet, ResNet20


def model(seed: int) -> nn.Sequential:
    """16-pixel images, a last map of 24 channels and 2 x 2 windows."""
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


HEAD = LastLinear(4, 96)


def samples(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(count, 1, 5, 5, generator=generator)
    images = nn.functional.interpolate(small, size=(16, 16), mode="bilinear")
    return images, torch.randint(4, (count,), generator=generator)


def test_the_last_convolution_is_found_by_the_layers_and_its_part_is_cut_out() -> None:
    original = model(1)
    found = find_last_convolution(original.to("meta"), HEAD)
    assert found == LastConvolution(offset=60, shape=(24, 6, 3, 3), windows=4)
    vectors = torch.arange(2.0 * 3000).view(2, 3000)
    rows = found.rows(vectors)
    assert rows.shape == (2, 24, 54)
    assert rows[0, 0, 0] == 60
    assert rows[1, 23, 53] == 3000 + 60 + 24 * 54 - 1


def test_a_norm_between_convolution_and_head_hides_it() -> None:
    assert find_last_convolution(ResNet20()((3, 32, 32), 10), LastLinear(10, 64)) is None
    found = find_last_convolution(ConvNet()((3, 32, 32), 10), LastLinear(10, 1024))
    assert found == LastConvolution(offset=19392, shape=(64, 64, 3, 3), windows=16)


def test_the_patches_that_the_convolution_saw_are_estimated() -> None:
    """Without the parameters: the estimate follows the models' true mean patches."""
    original, unlearned = model(1), model(2)
    images, labels = samples(1500, seed=3)
    vectors = gradient_differences(original, unlearned, images, labels)
    convolution = find_last_convolution(original, HEAD)
    assert convolution is not None
    windows = fit_patches(HEAD, convolution, vectors, labels, components=8)
    images, labels = samples(300, seed=4)
    read = windows.transform(gradient_differences(original, unlearned, images, labels))
    assert read.shape == (300, 2 * 8 * 4)

    truth = []
    for network in (original, unlearned):
        with torch.no_grad():
            patches = nn.functional.unfold(network[:3](images), 3, padding=1).view(300, 54, 4, 4)
            truth.append(nn.functional.avg_pool2d(patches, 2).flatten(2))
    expected = torch.stack(truth, 1).transpose(2, 3).flatten(1)
    # What a linear map of the estimate explains of the truth, on samples that the map was not fitted on.
    inputs = nn.functional.pad(read, (0, 1), value=1.0)
    fitted = torch.linalg.lstsq(inputs[:200], expected[:200]).solution
    left = (expected[200:] - inputs[200:] @ fitted).square().sum()
    assert left < 0.5 * (expected[200:] - expected[:200].mean(0)).square().sum()


def test_the_same_vectors_give_the_same_estimate() -> None:
    original, unlearned = model(1), model(2)
    images, labels = samples(200, seed=3)
    vectors = gradient_differences(original, unlearned, images, labels)
    convolution = find_last_convolution(original, HEAD)
    assert convolution is not None
    first, second = (fit_patches(HEAD, convolution, vectors, labels, components=4) for _ in range(2))
    assert torch.equal(first.transform(vectors), second.transform(vectors))
    torch.testing.assert_close(
        first.transform(vectors[3:5]), first.transform(vectors)[3:5], rtol=1e-3, atol=1e-4
    )
