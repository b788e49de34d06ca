"""Any partitioner of flwr-datasets as a partition of this package."""

import importlib
import inspect
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Generator, Tensor

from palimpsest.datasets.partitions import check_partition
from palimpsest.errors import DatasetError, MissingDependencyError
from palimpsest.randomness import fork
from palimpsest.registry import PARTITIONS, Component, closest


@PARTITIONS.register("flower")
class FlowerPartition(Component):
    """Deal rows as a partitioner of flwr-datasets does."""

    source: ClassVar[str] = "flwr-datasets, flwr_datasets.partitioner"

    partitioner: str = "IidPartitioner"
    """The class's name in `flwr_datasets.partitioner`."""
    partitioner_arguments: dict[str, Any] = Field({})
    """The class's arguments. Left out, `num_partitions`, `partition_by` and `seed` are filled in: the
    clients, the column `label`, and a seed that follows from the run's."""

    def __call__(self, labels: Tensor, clients: int, *, generator: Generator) -> tuple[Tensor, ...]:
        """Divide rows among clients.

        Args:
            labels: `[n]`, int64; the partitioner finds them in the column `label`.
            clients: How many clients there are.
            generator: Shuffles the rows before the partitioner sees them, and seeds it.

        Returns:
            Each client's rows, int64, ascending: disjoint, none empty, together all n.

        Raises:
            MissingDependencyError: flwr-datasets is not installed.
            DatasetError: There is no such partitioner, it refuses its arguments or labels, or it loses rows.
        """
        try:
            module = importlib.import_module("flwr_datasets.partitioner")
            hugging_face = importlib.import_module("datasets")
        except ImportError as error:
            raise MissingDependencyError(
                f"data.partition 'flower' needs flwr-datasets ({error}): pip install flwr-datasets."
            ) from error
        rows = hugging_face.Dataset.from_dict({"row": list(range(len(labels))), "label": labels.tolist()})
        kind = self._find(module)
        filled = {"num_partitions": clients, "partition_by": "label", "seed": fork(generator)}
        accepted = inspect.signature(kind).parameters
        arguments = {name: value for name, value in filled.items() if name in accepted}
        arguments |= {name: _array(value) for name, value in self.partitioner_arguments.items()}
        try:
            partitioner = kind(**arguments)
            partitioner.dataset = rows.shuffle(seed=fork(generator))
            dealt = [partitioner.load_partition(client)["row"] for client in range(clients)]
        # A partitioner says with errors of many types what it can't do.
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise DatasetError(
                f"{self.partitioner} can't deal {len(labels)} rows to {clients} clients ({error}): "
                "change data.partitioner_arguments or federation.clients."
            ) from error
        result = tuple(torch.tensor(sorted(some), dtype=torch.int64) for some in dealt)
        check_partition(result, clients, rows=len(labels))
        return result

    def _find(self, module: Any) -> Any:
        if self.partitioner not in module.__all__:
            raise DatasetError(
                f"flwr-datasets has no {self.partitioner!r}: {closest(self.partitioner, module.__all__)}"
            )
        return getattr(module, self.partitioner)


def _array(value: Any) -> Any:
    """A list of lists as the array that it is: JSON has no other way to spell one."""
    return np.array(value) if isinstance(value, list) and value and isinstance(value[0], list) else value
