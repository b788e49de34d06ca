"""A reference server of the protocol `palimpsest-oracle-1`: a client answers an auditor's questions, models unseen.

    PALIMPSEST_ORACLE_TOKEN=... python server.py --original a.safetensors --unlearned b.safetensors --model nets:Net

It listens on this machine alone unless told otherwise, answers nobody without the token, and limits what a question
may hold, how fast questions come, and how many samples are answered in all. Put a reverse proxy with TLS in front of it
before another machine asks.
"""

import argparse
import hmac
import os
import sys
import threading
import time
from pathlib import Path

import safetensors.torch
import torch
import uvicorn
import yaml
from safetensors import SafetensorError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from palimpsest.artifacts import Models, load_models
from palimpsest.errors import PalimpsestError
from palimpsest.gradients import gradient_differences, parameter_count
from palimpsest.oracles.http import PROTOCOL, TOKEN


class Allowance:
    """How many samples may be asked about: so many a minute, and so many in all.

    Args:
        rate: Samples a minute.
        total: Samples in all, or none for no limit.
    """

    def __init__(self, rate: int, total: int | None) -> None:
        self._rate, self._total = rate, total
        self._tokens, self._seen = float(rate), time.monotonic()
        self._lock = threading.Lock()

    def spend(self, samples: int) -> None:
        """Take samples off, or refuse."""
        with self._lock:
            now = time.monotonic()
            self._tokens = min(self._rate, self._tokens + (now - self._seen) * self._rate / 60)
            self._seen = now
            if self._total is not None and samples > self._total:
                raise HTTPException(
                    403, f"{self._total} more samples are answered, and {samples} were asked about."
                )
            if samples > self._tokens:
                wait = max(1, round((samples - self._tokens) * 60 / self._rate))
                raise HTTPException(429, "Too many questions.", headers={"Retry-After": str(wait)})
            self._tokens -= samples
            self._total = None if self._total is None else self._total - samples


def make_app(
    models: Models,
    *,
    shape: tuple[int, int, int],
    token: str,
    largest_batch: int = 64,
    rate: int = 6000,
    total: int | None = None,
) -> Starlette:
    """The server.

    Args:
        models: The two models.
        shape: Of the images that are answered for: channels, height, width.
        token: Who knows it may ask.
        largest_batch: Samples that a question may hold.
        rate: Samples a minute.
        total: Samples that are answered in all, until the server is started again; none for no limit.
    """
    if rate < largest_batch:
        raise ValueError(f"a question of {largest_batch} samples would never be answered at {rate} a minute")
    dimension = parameter_count(models.original)
    largest_body = 4096 + largest_batch * (8 + 4 * shape[0] * shape[1] * shape[2])
    allowance = Allowance(rate, total)
    # One question at a time: gradients take all the processor has, and memory by the batch.
    working = threading.Lock()

    def admit(request: Request) -> None:
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {token}".encode()):
            raise HTTPException(401, "The token is missing or another.")

    def answer(body: bytes) -> bytes:
        images, labels = read_question(body, shape, models.classes, largest_batch)
        allowance.spend(len(images))
        with working:
            vectors = gradient_differences(models.original, models.unlearned, images, labels)
        return safetensors.torch.save({"vectors": vectors.cpu().contiguous()})

    async def describe(request: Request) -> Response:
        admit(request)
        told = {"protocol": PROTOCOL, "dimension": dimension, "shape": list(shape), "classes": models.classes}
        return JSONResponse(told | {"models": models.fingerprint, "largest_batch": largest_batch})

    async def differences(request: Request) -> Response:
        admit(request)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > largest_body:
                raise HTTPException(413, f"A question has at most {largest_body} bytes.")
        return Response(await run_in_threadpool(answer, bytes(body)), media_type="application/octet-stream")

    def refuse(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "registered for that alone"
        return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)

    return Starlette(
        routes=[
            Route("/v1/oracle", describe),
            Route("/v1/differences", differences, methods=["POST"]),
        ],
        exception_handlers={HTTPException: refuse},
    )


def read_question(
    body: bytes, shape: tuple[int, int, int], classes: int, largest_batch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The images and labels of a question, which anybody with the token may have written.

    Raises:
        HTTPException: It is not a question, or not one about such images.
    """
    try:
        question = safetensors.torch.load(body)
        images, labels = question["images"], question["labels"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise HTTPException(400, "A question is safetensors with 'images' and 'labels'.") from error
    fits = (
        images.dtype == torch.float32
        and labels.dtype == torch.int64
        and labels.ndim == 1
        and 1 <= len(labels) <= largest_batch
        and images.shape == (len(labels), *shape)
        and bool(((images >= 0) & (images <= 1)).all())
        and 0 <= int(labels.min()) <= int(labels.max()) < classes
    )
    if not fits:
        raise HTTPException(
            400,
            f"Ask about 1 to {largest_batch} float32 images of shape {list(shape)} in [0, 1], with int64 labels from 0 "
            f"to {classes - 1}.",
        )
    return images, labels


def main() -> None:
    """Read the models and serve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--original", type=Path, required=True)
    parser.add_argument("--unlearned", type=Path, required=True)
    parser.add_argument("--model", required=True, help="module:factory, as in palimpsest attack")
    parser.add_argument(
        "--model-arguments", type=yaml.safe_load, default={}, help="YAML, such as '{width: 16}'"
    )
    parser.add_argument("--shape", type=int, nargs=3, required=True, metavar=("CHANNELS", "HEIGHT", "WIDTH"))
    parser.add_argument("--mean", type=float, nargs="+")
    parser.add_argument("--std", type=float, nargs="+")
    parser.add_argument("--host", default="127.0.0.1", help="another address only behind TLS")
    parser.add_argument("--port", type=int, default=8800)
    parser.add_argument("--largest-batch", type=int, default=64)
    parser.add_argument("--rate", type=int, default=6000, help="samples a minute")
    parser.add_argument("--total", type=int, help="samples in all")
    chosen = parser.parse_args()
    token = os.environ.get(TOKEN, "")
    if len(token) < 16:
        sys.exit(f"Put a token of at least 16 characters into the environment as {TOKEN}.")
    try:
        models = load_models(
            chosen.model,
            chosen.model_arguments,
            original=chosen.original,
            unlearned=chosen.unlearned,
            shape=tuple(chosen.shape),
            classes=1,
            mean=chosen.mean,
            std=chosen.std,
        )
    except PalimpsestError as error:
        sys.exit(str(error))
    app = make_app(
        models,
        shape=tuple(chosen.shape),
        token=token,
        largest_batch=chosen.largest_batch,
        rate=chosen.rate,
        total=chosen.total,
    )
    uvicorn.run(app, host=chosen.host, port=chosen.port, log_level="warning", limit_concurrency=16)


if __name__ == "__main__":
    main()
