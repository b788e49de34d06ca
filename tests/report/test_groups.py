import torch
from tests.support.pages import synthetic_report, unscored_page

from palimpsest.report.groups import SMALLEST_GROUP, group_tables

RANKS = torch.tensor([1] * 6 + [2] * 6)


def page(owners: torch.Tensor):
    made = synthetic_report(12)
    return synthetic_report(12, owners=owners, per_image={**made.per_image, "rank": RANKS})


def test_the_most_exposed_group_comes_first() -> None:
    classes, clients = group_tables(page(torch.tensor([7] * 3 + [4] * 9)))
    assert (classes.heading, clients.heading) == ("Class", "Client")
    assert [row[0] for row in clients.rows] == ["client 7", "client 4"]
    name, total, (share, interval), _ = clients.rows[1]
    assert (name, total, share) == ("client 4", "9", "3 (33.3\N{NO-BREAK SPACE}%)")
    assert interval.startswith("7.5")
    assert sum(int(row[1]) for row in classes.rows) == 12


def test_groups_with_equal_shares_are_ordered_by_their_score() -> None:
    made = page(torch.arange(12) % 2)
    (_, clients) = group_tables(made)
    means = [made.per_image["lpips"][made.owners == owner].mean() for owner in (0, 1)]
    assert clients.rows[0][0] == f"client {int(means[1] < means[0])}"


def test_a_redacted_page_leaves_out_small_groups() -> None:
    small = SMALLEST_GROUP - 1
    clients = group_tables(page(torch.tensor([7] * small + [4] * (12 - small))), redact=True)[1]
    assert [row[0] for row in clients.rows] == ["client 4"]
    assert clients.omitted == 1


def test_a_single_group_and_unscored_samples_have_no_table() -> None:
    assert [table.heading for table in group_tables(page(torch.zeros(12, dtype=torch.long)))] == ["Class"]
    assert group_tables(unscored_page(labels=torch.tensor([0, 1, 2]))) == []
