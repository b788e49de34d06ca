import pytest
import torch

from palimpsest.attacks import Strongest
from palimpsest.config import AttackConfig
from palimpsest.datasets import ImageSet, RowSet, SampleSet, TokenSet
from palimpsest.registry import ATTACKS

LABELS = torch.zeros(50, dtype=torch.int64)
IMAGES = ImageSet("drawn", torch.rand(50, 1, 8, 8), LABELS, 1)
ROWS = RowSet("drawn", torch.randn(50, 3), LABELS, 1, ("a", "b", "c"))
TOKENS = TokenSet("drawn", torch.zeros(50, 4, dtype=torch.int64), LABELS, 1)


@pytest.mark.parametrize(
    ("samples", "architecture", "expected"),
    [
        (IMAGES, False, ["igf-plus", "igf-plus"]),
        (IMAGES, True, ["igf-plus", "igf-white"]),
        (ROWS, False, ["igf-rows"]),
        (ROWS, True, ["linear-layer", "igf-rows"]),
        (TOKENS, True, ["igf-tokens"]),
    ],
)
def test_members_fit_what_the_auditor_holds(
    samples: SampleSet, architecture: bool, expected: list[str]
) -> None:
    members = Strongest().against_proofs(samples, architecture=architecture)
    assert [member.attack for member in members] == expected
    assert [member.work for member in members] == sorted(member.work for member in members)
    assert len({member.label for member in members}) == len(members)
    for member in members:
        AttackConfig.model_validate({"name": member.attack, **member.settings}).build()


def test_only_attacks_that_take_groups_are_run_on_aggregated_proofs() -> None:
    members = Strongest().against_proofs(IMAGES, architecture=True, aggregated=True)
    assert members
    for member in members:
        attack = AttackConfig.model_validate({"name": member.attack, **member.settings}).build()
        assert attack.takes_groups


def test_a_server_without_labels_infers_them() -> None:
    for labels, mode in ((True, "known"), (False, "inferred")):
        for member in Strongest().against_gradients(labels=labels):
            attack = ATTACKS.get(member.attack)(**member.settings)
            assert attack.labels == mode


def test_few_images_get_more_epochs() -> None:
    def epochs(count: int) -> list[int]:
        rows = torch.zeros(count, dtype=torch.int64)
        samples = ImageSet("drawn", torch.zeros(count, 1, 4, 4), rows, 1)
        return [
            int(member.settings["epochs"])
            for member in Strongest().against_proofs(samples, architecture=False)
        ]

    assert epochs(20) == [40, 40]
    assert epochs(1000) == [8, 4]
    assert epochs(8000) == [4, 4]


def test_the_default_budget_grows_with_the_auxiliary_images() -> None:
    assert Strongest(time_budget=3).minutes(IMAGES) == 3
    assert Strongest().minutes(IMAGES) == pytest.approx(30 + 2 * 50 * 64 / 1e6)


def test_it_is_the_default() -> None:
    assert AttackConfig().name == "strongest"
