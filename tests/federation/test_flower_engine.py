import gc
import warnings

import pytest
import torch

from palimpsest.errors import FederationError
from palimpsest.federation import Federation, FlowerClients, train

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest-audit[flower]'")


@pytest.mark.filterwarnings("ignore")  # Ray and Flower warn about themselves and each other
def test_the_simulation_trains_the_same_model_as_the_in_process_engine(data, lenet, config) -> None:
    settings = {"rounds": 2, "aggregation": "fedadam"}
    in_process = train(Federation(data, lenet, config(**settings), 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulated = train(Federation(data, lenet, config(**settings, engine="flower-simulation"), 1))
        # Ray leaves files open, of which Python would warn in whatever test the collector runs next.
        gc.collect()
    assert simulated.participation == in_process.participation
    for name, value in in_process.parameters.items():
        torch.testing.assert_close(simulated.parameters[name], value, rtol=1e-4, atol=1e-5)


class Grid:
    """Grid whose nodes answer with given partition-ids."""

    def __init__(self, partitions: list[int]) -> None:
        self.partitions = partitions

    def get_node_ids(self) -> list[int]:
        return list(range(100, 100 + len(self.partitions)))

    def send_and_receive(self, messages: list, timeout: float) -> list:
        from flwr.app import Message, MetricRecord, RecordDict

        return [
            Message(content=RecordDict({"who": MetricRecord({"client": partition})}), reply_to=message)
            for partition, message in zip(self.partitions, messages, strict=True)
        ]


def test_nodes_are_found_by_their_partition_ids() -> None:
    from palimpsest.federation.flower_strategy import _task_identity

    with _task_identity():
        assert FlowerClients(Grid([1, 0]), 2).nodes == {1: 100, 0: 101}
        with pytest.raises(FederationError, match="No Flower node has the partition-id 1"):
            FlowerClients(Grid([0, 0]), 2)
