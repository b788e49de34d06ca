"""What travels over Flower: a round's payload there, a client's reply back."""

import importlib
import json
import logging
from collections import OrderedDict
from typing import Any

import torch

from palimpsest.errors import FederationError, MissingDependencyError
from palimpsest.federation.client import Payload, Reply, Work
from palimpsest.storage import Parameters


def require_flower() -> None:
    """Refuse in a sentence where Flower is not installed.

    Raises:
        MissingDependencyError: It is not.
    """
    try:
        importlib.import_module("flwr")
    except ImportError as error:
        raise MissingDependencyError(
            "This needs Flower, which is not installed: pip install 'palimpsest[flower]'."
        ) from error
    # It tells every step of every round; what a reader needs of them is in the run's own records.
    logging.getLogger("flwr").setLevel(logging.WARNING)


def pack_parameters(parameters: Parameters) -> Any:
    """A state dict as Flower's `ArrayRecord`."""
    from flwr.app import ArrayRecord

    return ArrayRecord(OrderedDict(parameters))


def unpack_parameters(arrays: Any) -> Parameters:
    """Flower's `ArrayRecord` as a state dict."""
    return {name: torch.as_tensor(array.numpy().copy()) for name, array in arrays.items()}


def pack_payload(payload: Payload) -> Any:
    """A round's payload as Flower's `RecordDict`."""
    from flwr.app import ConfigRecord, RecordDict

    work = type(payload.work)
    config = ConfigRecord(
        {
            "round": payload.round,
            "seed": str(payload.seed),
            "work": f"{work.__module__}:{work.__qualname__}",
            "settings": payload.work.model_dump_json(),
        }
    )
    return RecordDict({"arrays": pack_parameters(payload.parameters), "config": config})


def unpack_payload(content: Any) -> Payload:
    """The payload that `pack_payload` packed.

    Raises:
        FederationError: The work that it names is not a `Work` that this client has.
    """
    config = content["config"]
    return Payload(
        round=int(config["round"]),
        seed=int(config["seed"]),
        work=_find_work(config["work"])(**json.loads(config["settings"])),
        parameters=unpack_parameters(content["arrays"]),
    )


def pack_reply(reply: Reply) -> Any:
    """A client's reply as Flower's `RecordDict`; Flower's own strategies could read it."""
    from flwr.app import MetricRecord, RecordDict

    metrics = MetricRecord({"num-examples": reply.samples, "train_loss": reply.loss, "client": reply.client})
    return RecordDict({"arrays": pack_parameters(reply.parameters), "metrics": metrics})


def unpack_reply(content: Any) -> Reply:
    """The reply that `pack_reply` packed."""
    metrics = content["metrics"]
    return Reply(
        client=int(metrics["client"]),
        samples=int(metrics["num-examples"]),
        parameters=unpack_parameters(content["arrays"]),
        loss=float(metrics["train_loss"]),
    )


def _find_work(name: str) -> type[Work]:
    """The class that the server means: this package's own, or one that the client has imported itself."""
    module, _, qualname = name.partition(":")
    if module.startswith("palimpsest."):
        importlib.import_module(module)
    pending = [Work]
    while pending:
        kind = pending.pop()
        if (kind.__module__, kind.__qualname__) == (module, qualname):
            return kind
        pending += kind.__subclasses__()
    raise FederationError(
        f"The server asks for the work {name!r}, which this client does not have: install it there."
    )
