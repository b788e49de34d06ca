"""Adapter that uses any partitioner of flwr-datasets as a partition."""

import importlib
import inspect
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Generator, Tensor

from palimpsest.datasets.partitions import check_partition
from palimpsest.distribution import install_command
from palimpsest.errors import DatasetError, MissingDependencyError
from palimpsest.randomness import fork
from palimpsest.registry import PARTITIONS, Component, closest


@PARTITIONS.register("flower")
class FlowerPartition(Component):
    """Partition rows with a partitioner of flwr-datasets."""

    source: ClassVar[str] = "flwr-datasets, flwr_datasets.partitioner"

    partitioner: str = "IidPartitioner"
    """Name of a class in `flwr_datasets.partitioner`."""
    partitioner_arguments: dict[str, Any] = Field({})
    """Arguments of the class. By default `num_partitions` is the number of clients, `partition_by` the column `label`,
    and `seed` is derived from the run's seed."""

    def __call__(self, labels: Tensor, clients: int, *, generator: Generator) -> tuple[Tensor, ...]:
        """Divide rows among clients.

        Args:
            labels: `[n]`, int64; the partitioner gets them as the column `label`.
            clients: Number of clients.
            generator: Random generator that shuffles the rows before the partitioner gets them, and seeds it.

        Returns:
            Each client's rows, int64, ascending. They are disjoint and not empty, and cover all n rows.

        Raises:
            MissingDependencyError: flwr-datasets is not installed.
            DatasetError: There is no such partitioner, it does not accept its arguments or the labels, or it loses
                rows.
        """
        try:
            module = importlib.import_module("flwr_datasets.partitioner")
            hugging_face = importlib.import_module("datasets")
        except ImportError as error:
            raise MissingDependencyError(
                f"data.partition 'flower' needs flwr-datasets ({error}): {install_command('flower')}."
            ) from error
        dataset = hugging_face.Dataset.from_dict({"row": list(range(len(labels))), "label": labels.tolist()})
        partitioner_class = self._find_class(module)
        defaults = {"num_partitions": clients, "partition_by": "label", "seed": fork(generator)}
        accepted = inspect.signature(partitioner_class).parameters
        arguments = {name: value for name, value in defaults.items() if name in accepted}
        arguments |= {name: _to_array(value) for name, value in self.partitioner_arguments.items()}
        try:
            partitioner = partitioner_class(**arguments)
            partitioner.dataset = dataset.shuffle(seed=fork(generator))
            partitions = [partitioner.load_partition(client)["row"] for client in range(clients)]
        # Partitioners raise errors of many types for arguments that they do not support.
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise DatasetError(
                f"{self.partitioner} can't divide {len(labels)} rows among {clients} clients ({error}). "
                "Change data.partitioner_arguments or federation.clients."
            ) from error
        result = tuple(torch.tensor(sorted(rows), dtype=torch.int64) for rows in partitions)
        check_partition(result, clients, rows=len(labels))
        return result

    def _find_class(self, module: Any) -> Any:
        if self.partitioner not in module.__all__:
            raise DatasetError(
                f"flwr-datasets has no {self.partitioner!r}: {closest(self.partitioner, module.__all__)}"
            )
        return getattr(module, self.partitioner)


def _to_array(value: Any) -> Any:
    """Convert a list of lists to an array, which YAML and JSON can't express otherwise."""
    return np.array(value) if isinstance(value, list) and value and isinstance(value[0], list) else value
