import torch

from palimpsest.reduction import FeatureHash


def test_each_bin_is_the_sum_of_its_coordinates() -> None:
    generator = torch.Generator().manual_seed(0)
    hashing = FeatureHash.draw(50, 0.3, generator=generator)
    vectors = torch.randn(4, 50, generator=generator)
    expected = torch.zeros(4, 15)
    for row in range(4):
        for coordinate in range(50):
            expected[row, hashing.bins[coordinate]] += vectors[row, coordinate]
    torch.testing.assert_close(hashing.transform(vectors), expected)
    assert hashing.components == 15


def test_hashing_preserves_sums_and_is_linear() -> None:
    generator = torch.Generator().manual_seed(0)
    hashing = FeatureHash.draw(50, 0.1, generator=generator)
    a, b = torch.randn(2, 3, 50, generator=generator)
    torch.testing.assert_close(hashing.transform(a).sum(1), a.sum(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(hashing.transform(a + 2 * b), hashing.transform(a) + 2 * hashing.transform(b))


def test_resnet20_of_the_paper_has_half_as_many_bins() -> None:
    assert FeatureHash.draw(269_722, 0.5, generator=torch.Generator()).components == 134_861


def test_the_generator_determines_the_bins() -> None:
    first, again, other = (
        FeatureHash.draw(500, 0.5, generator=torch.Generator().manual_seed(seed)).bins for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_tiny_rate_gives_a_single_bin() -> None:
    hashing = FeatureHash.draw(50, 0.001, generator=torch.Generator())
    assert hashing.components == 1
    assert hashing.transform(torch.ones(2, 50)).tolist() == [[50.0], [50.0]]
