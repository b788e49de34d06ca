"""Conversion of payloads and replies to Flower's records and back."""

import importlib
import json
import logging
from collections import OrderedDict
from typing import Any

import torch

from palimpsest.distribution import install_command
from palimpsest.errors import FederationError, MissingDependencyError
from palimpsest.federation.client import Payload, Reply
from palimpsest.federation.work import Work
from palimpsest.storage import Parameters


def require_flower() -> None:
    """Check that Flower is installed, and keep it from logging every step.

    Raises:
        MissingDependencyError: Flower is not installed.
    """
    try:
        importlib.import_module("flwr")
    except ImportError as error:
        raise MissingDependencyError(
            f"Flower is not installed. Install it with: {install_command('flower')}"
        ) from error
    # Flower logs every step of every round; the run's records already hold what a reader needs.
    logging.getLogger("flwr").setLevel(logging.WARNING)


def pack_parameters(parameters: Parameters) -> Any:
    """Convert a state dict to Flower's `ArrayRecord`."""
    from flwr.app import ArrayRecord

    return ArrayRecord(OrderedDict(parameters))


def unpack_parameters(arrays: Any) -> Parameters:
    """Convert Flower's `ArrayRecord` to a state dict."""
    return {name: torch.as_tensor(array.numpy().copy()) for name, array in arrays.items()}


def pack_payload(payload: Payload) -> Any:
    """Convert a round's payload to Flower's `RecordDict`."""
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
    """Recover the payload from the result of `pack_payload`.

    Raises:
        FederationError: The payload names a class that is not a `Work` known to this client.
    """
    config = content["config"]
    return Payload(
        round=int(config["round"]),
        seed=int(config["seed"]),
        work=_find_work(config["work"])(**json.loads(config["settings"])),
        parameters=unpack_parameters(content["arrays"]),
    )


def pack_reply(reply: Reply) -> Any:
    """Convert a client's reply to Flower's `RecordDict`, in the form that Flower's strategies read."""
    from flwr.app import MetricRecord, RecordDict

    metrics = MetricRecord({"num-examples": reply.samples, "train_loss": reply.loss, "client": reply.client})
    return RecordDict({"arrays": pack_parameters(reply.parameters), "metrics": metrics})


def unpack_reply(content: Any) -> Reply:
    """Recover the reply from the result of `pack_reply`."""
    metrics = content["metrics"]
    return Reply(
        client=int(metrics["client"]),
        samples=int(metrics["num-examples"]),
        parameters=unpack_parameters(content["arrays"]),
        loss=float(metrics["train_loss"]),
    )


def _find_work(name: str) -> type[Work]:
    """Find the class that the server names: one of Palimpsest's, or one that the client has imported."""
    module, _, qualname = name.partition(":")
    if module.startswith("palimpsest."):
        importlib.import_module(module)
    pending = [Work]
    while pending:
        work = pending.pop()
        if (work.__module__, work.__qualname__) == (module, qualname):
            return work
        pending += work.__subclasses__()
    raise FederationError(
        f"The server asks for the work {name!r}, which this client does not have. Install its package on the client, "
        "and import it there."
    )
