from dataclasses import replace

import torch
from tests.support.attack_views import linear_view, smooth_images

from palimpsest.attacks import IGF
from palimpsest.attacks.learned.group_queries import group_queries
from palimpsest.datasets import EMPTY, GroupSet, ImageSet, draw_groups
from palimpsest.oracles import AggregatedOracle, query_all
from palimpsest.randomness import make_generator

VIEW = replace(linear_view(smooth_images(4, seed=2)), group_sizes=(3, 5))


def test_groups_for_training_and_validation_share_no_image() -> None:
    queries, training, validation = group_queries(VIEW, 2, validation=0.1, generator=make_generator(1))
    assert len(queries) == 600
    assert len(validation) == 30
    assert validation.max() < 300
    assert sorted([*training.tolist(), *validation.tolist()]) == list(range(600))
    held_out, trained = (
        set(queries.groups.members[rows].flatten().tolist()) - {EMPTY} for rows in (validation, training)
    )
    assert len(held_out) <= 30
    assert not held_out & trained


def test_targets_are_the_mean_images_and_chunks_name_the_members() -> None:
    queries, _, _ = group_queries(VIEW, 1, validation=0, generator=make_generator(1))
    torch.testing.assert_close(
        queries.images_uint8.float() / 255, queries.groups.mean_images(), rtol=0, atol=0.51 / 255
    )
    assert queries.groups.sizes[:4].tolist() == [3, 5, 3, 5]
    ((members, _),) = queries.chunks(10, 20)
    assert torch.equal(members, queries.groups.members[10:20])


def test_igf_reconstructs_the_mean_image_of_a_group() -> None:
    """From linear differences, the mean image is as easy to find as a single one."""
    pool = ImageSet("new", smooth_images(100, seed=9), torch.zeros(100, dtype=torch.int64), 1)
    groups = draw_groups(pool, [4], 40, generator=make_generator(2))
    proofs = query_all(AggregatedOracle(VIEW.oracle, pool), groups)
    view = replace(
        VIEW, proofs=proofs, group_sizes=(4,) * 40, oracle=AggregatedOracle(VIEW.oracle, VIEW.auxiliary)
    )
    attack = IGF(epochs=30, width=32, beta=0, learning_rate=3e-3, dropout=0, batch_size=32, queries=2)
    found = attack(view, generator=make_generator(3)).images
    truth = groups.mean_images()
    constant = (truth - VIEW.auxiliary.images.mean(0)).square().mean()
    assert (found - truth).square().mean() < 0.3 * constant
    assert isinstance(groups, GroupSet)
