import torch

from palimpsest.metrics import permutation_test


def images(seed, count=60):
    return torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(seed))


def run_test(reconstructions, originals, labels, *, permutations=199, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return permutation_test(
        reconstructions, originals, labels, permutations=permutations, generator=generator
    )


def test_copies_are_significant_and_noise_is_not():
    truth, labels = images(0), torch.arange(60) % 6
    copied = run_test(truth, truth, labels)
    assert (copied.matched, copied.p_value, copied.p_value_within_class) == (0, 1 / 200, 1 / 200)
    assert copied.shuffled > 0.1
    assert run_test(images(1), truth, labels).p_value > 0.05


def test_class_prototypes_are_not_significant_within_classes():
    labels = torch.arange(60) % 6
    prototypes = images(2, 6)
    truth = 0.5 * prototypes[labels] + 0.5 * images(3)
    found = run_test(prototypes[labels], truth, labels)
    assert found.p_value == 1 / 200
    assert found.p_value_within_class > 0.05
    assert found.shuffled > found.shuffled_within_class


def test_p_values_are_calibrated_under_the_null_hypothesis():
    truth, labels = images(0, 20), torch.zeros(20, dtype=torch.int64)
    found = [run_test(images(seed, 20), truth, labels, permutations=99, seed=seed) for seed in range(9, 309)]
    assert 0.05 < sum(result.p_value <= 0.1 for result in found) / 300 < 0.15


def test_a_constant_reconstruction_has_a_p_value_of_one():
    truth, labels = images(0), torch.arange(60) % 6
    constant = run_test(truth.mean(0, keepdim=True).expand(60, -1, -1, -1), truth, labels)
    assert constant.p_value == constant.p_value_within_class == 1


def test_classes_with_one_image_have_a_p_value_of_one():
    truth = images(0, 5)
    assert run_test(truth, truth, torch.arange(5)).p_value_within_class == 1


def test_own_is_the_mean_squared_error_after_clamping():
    truth, wild = images(0, 12), 1.5 * images(1, 12)
    found = run_test(wild, truth, torch.zeros(12, dtype=torch.int64), permutations=9)
    expected = (wild.clamp(0, 1) - truth).square().mean()
    assert abs(found.matched - float(expected)) < 1e-6
    assert abs(found.shuffled - float(expected)) < 0.1


def test_the_generator_decides():
    truth, labels = images(0, 12), torch.arange(12) % 3
    first, again, other = (run_test(images(1, 12), truth, labels, seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert first.shuffled != other.shuffled
