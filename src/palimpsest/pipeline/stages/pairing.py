"""Stage of the permutation test: do the reconstructions belong to their samples?"""

from palimpsest.attacks import Reconstruction
from palimpsest.config import AttackingConfig
from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.metrics import PermutationTest, permutation_test, sample_errors, shuffle_pairs
from palimpsest.randomness import make_generator
from palimpsest.runs import Run


def pairing_test(
    run: Run,
    config: AttackingConfig,
    reconstruction: Reconstruction,
    forgotten: SampleSet,
    auxiliary: SampleSet,
) -> PermutationTest:
    """Run the stage `permutation-test`: test if reconstructions are closer to their originals than to shuffled ones.

    Args:
        run: The run that stores the stage.
        config: Number of permutations (`scoring.bootstrap`) and seed.
        reconstruction: The attack's reconstructions.
        forgotten: The forgotten samples, in the same order.
        auxiliary: The attacker's auxiliary samples.

    Returns:
        Mean errors and p-values of the permutation test.
    """
    permutations = config.scoring.bootstrap

    def compute(_: object) -> PermutationTest:
        generator = make_generator(config.seed, "permutation test")
        if isinstance(forgotten, ImageSet):
            return permutation_test(
                reconstruction.images,
                forgotten.images,
                forgotten.labels,
                permutations=permutations,
                generator=generator,
            )
        errors = sample_errors(reconstruction.images, forgotten, auxiliary)
        return shuffle_pairs(errors, forgotten.labels, permutations=permutations, generator=generator)

    key = (reconstruction, forgotten, auxiliary, permutations, config.seed)
    return run.stage("permutation-test", PermutationTest, compute, key=key)
