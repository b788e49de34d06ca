from pathlib import Path

import pytest
from benchmarks.networks import HEADER, Row, cells, inputs, measure, slower, write
from benchmarks.timing import Clock
from benchmarks.zoo import Network

from benchmarks import networks, zoo


def test_a_network_of_torch_alone_is_measured_and_audited(tmp_path: Path) -> None:
    (network,) = (network for network in zoo.NETWORKS if network.name == "RNN")
    row = measure(network, Clock(repeats=1), samples=10, fewest=2)
    assert (row.network, row.engine, row.audit) == ("RNN", "layer by layer", "ok")
    assert min(*row.seconds.values(), *row.fewest.values()) > 0
    assert [len(cell) for cell in cells([row])] == [len(HEADER)]
    write(tmp_path, [row], repeats=1, samples=4, machine="Measured here")
    page = (tmp_path / "networks.md").read_text()
    assert "| RNN | benchmarks |" in page
    assert "Not measured: alexnet" in page


def test_a_quick_run_measures_one_network_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    names = list[str]()

    def measured(network: Network, clock: Clock, *, samples: int, fewest: int) -> Row:
        names.append(network.name)
        times = {"ours": 1.0, "loop": 2.0}
        return Row(network.name, network.library, 1, 2, "vmap", times, times, "ok")

    monkeypatch.setattr(networks, "measure", measured)
    for row in networks.rows(Clock(repeats=1), quick=True):
        assert cells([row])[0][-3:] == (0.5, 0.5, "ok")
    assert set(names) == {"GRU"} | ({"squeezenet1_1"} & {n.name for n in zoo.NETWORKS if n.installed})


def test_names_the_networks_above_the_aim() -> None:
    def row(name: str, ours: float, fewest: float) -> Row:
        times = ({"ours": ours, "loop": 1.0}, {"ours": fewest, "loop": 1.0})
        return Row(name, "benchmarks", 1, 2, "vmap", *times, "ok")

    assert slower([row("fast", 1.3, 1.0)]) == "No ratio is above 1.3."
    named = slower([row("fast", 0.5, 1.0), row("small", 0.5, 1.7), row("both", 1.4, 2.0)])
    assert named.startswith("Above 1.3: small (1.7 for 8 samples); both (1.4, 2 for 8 samples). ")


def test_tokens_end_with_padding() -> None:
    network = Network("", "benchmarks", "Recurrent", pixels=0)
    tokens = inputs(network, 20, seed=0)
    padded = tokens == 0
    assert padded.any()
    assert not (padded[:, :-1] & ~padded[:, 1:]).any()
    assert not padded[:, 0].any()
