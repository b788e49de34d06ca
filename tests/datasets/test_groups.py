import torch

from palimpsest.datasets import EMPTY, GroupSet, ImageSet, draw_groups, split_groups
from palimpsest.randomness import make_generator

POOL = ImageSet("pool", torch.rand(10, 1, 2, 2), torch.arange(10), classes=10)


def test_a_group_has_the_mean_image_of_its_members() -> None:
    groups = GroupSet.of(POOL, torch.tensor([[1, 3, 5], [2, 2, EMPTY]]))
    assert groups.sizes.tolist() == [3, 2]
    expected = torch.stack([POOL.images[[1, 3, 5]].mean(0), POOL.images[2]])
    torch.testing.assert_close(groups.mean_images(), expected)
    assert groups.shape == POOL.shape


def test_a_subset_keeps_the_pool_and_the_fingerprint_depends_on_it() -> None:
    groups = GroupSet.of(POOL, torch.tensor([[1, 3], [2, 4]]))
    assert groups.subset(torch.tensor([1])).members.tolist() == [[2, 4]]
    other = ImageSet("pool", POOL.images.flip(0), POOL.labels, classes=10)
    prints = {
        groups.fingerprint,
        GroupSet.of(other, groups.members).fingerprint,
        GroupSet.of(POOL, groups.members.flip(1)).fingerprint,
    }
    assert len(prints) == 3


def test_drawn_groups_take_the_sizes_in_turn_and_members_from_the_rows() -> None:
    groups = draw_groups(POOL, [3, 1], 5, rows=torch.tensor([4, 7]), generator=make_generator(1))
    assert groups.sizes.tolist() == [3, 1, 3, 1, 3]
    assert set(groups.members.unique().tolist()) == {EMPTY, 4, 7}


def test_members_are_drawn_with_replacement() -> None:
    """The mean of a group varies as much as that of new samples, even if a group is larger than the pool."""
    groups = draw_groups(POOL, [40], 3000, generator=make_generator(1))
    spread = groups.mean_images().var(0)
    torch.testing.assert_close(spread, POOL.images.var(0, correction=0) / 40, rtol=0.1, atol=0)


def test_split_groups_are_disjoint_and_leave_the_rest_out() -> None:
    groups = split_groups(POOL, [3, 2], generator=make_generator(1))
    assert groups.sizes.tolist() == [3, 2, 3, 2]
    members = groups.members[groups.members != EMPTY].tolist()
    assert sorted(members) == list(range(10))
    assert len(split_groups(POOL, [4], generator=make_generator(1))) == 2
    assert len(split_groups(POOL, [11], generator=make_generator(1))) == 0
