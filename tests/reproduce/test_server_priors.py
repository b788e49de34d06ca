"""Studies of the prior on tiny data."""

from pathlib import Path

from tests.reproduce.test_dragd import tiny

from palimpsest.reproduce import reproduce
from palimpsest.reproduce.server_priors import STUDIES


def test_starts_are_compared_with_noise(tmp_path: Path) -> None:
    chosen = ["mnist-noise", "mnist-class", "mnist-nearest"]
    summaries = reproduce(
        tiny(STUDIES["dragd-priors"]),
        out=tmp_path,
        cells=chosen,
        seeds=(1, 2),
        command="palimpsest reproduce",
    )
    assert not any(summary.failure for summary in summaries)
    table = (tmp_path / "dragd-priors.md").read_text()
    for start in ("class", "nearest"):
        assert f"mnist: the MSE of {start} minus that of noise is " in table


def test_all_starts_search_in_the_same_coordinates() -> None:
    attacks = {cell.name: cell.config({}, seed=1).attack.build() for cell in STUDIES["dragd-priors"].cells()}
    assert len(attacks) == 3 * 5
    assert {attack.space for attack in attacks.values()} == {"spectrum"}
    assert attacks["lfw-noise"].prior is None
    assert attacks["lfw-blurred"].prior == "blurred"


def test_domains_are_crossed() -> None:
    configs = {cell.name: cell.config({}, seed=1) for cell in STUDIES["dragd-domains"].cells()}
    assert len(configs) == 3 * 4
    assert configs["lfw-prior-lfw"].data.auxiliary is None
    assert configs["cifar10-prior-lfw"].data.auxiliary == "lfw"
