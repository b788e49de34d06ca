"""Reference server of the protocol `palimpsest-oracle-1`: answers an auditor's queries without revealing the models.

    PALIMPSEST_ORACLE_TOKEN=... python server.py --original a.safetensors --unlearned b.safetensors --model nets:Net

By default the server only listens on this machine. It requires a token, and limits the size of a query, the samples per
minute and the samples in total. Run it behind a reverse proxy with TLS before other machines connect.
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
    """Limits on the number of samples, per minute and in total.

    Args:
        rate: Samples per minute.
        total: Samples in total. None means that there is no limit.
    """

    def __init__(self, rate: int, total: int | None) -> None:
        """Start with a full minute's allowance."""
        self._rate, self._total = rate, total
        self._tokens, self._updated = float(rate), time.monotonic()
        self._lock = threading.Lock()

    def spend(self, samples: int) -> None:
        """Subtract samples from the allowance.

        Raises:
            HTTPException: The samples exceed a limit.
        """
        with self._lock:
            now = time.monotonic()
            self._tokens = min(self._rate, self._tokens + (now - self._updated) * self._rate / 60)
            self._updated = now
            if self._total is not None and samples > self._total:
                raise HTTPException(
                    403, f"The query has {samples} samples, but only {self._total} more are allowed."
                )
            if samples > self._tokens:
                wait = max(1, round((samples - self._tokens) * 60 / self._rate))
                raise HTTPException(
                    429,
                    f"Too many samples per minute. Retry in {wait} s.",
                    headers={"Retry-After": str(wait)},
                )
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
    """Create the server.

    Args:
        models: The original and the unlearned model.
        shape: Channels, height and width of the images in a query.
        token: The token that a request must carry.
        largest_batch: Largest number of samples in a query.
        rate: Samples per minute.
        total: Samples in total until the server restarts. If omitted, there is no limit.

    Returns:
        The application.

    Raises:
        ValueError: The rate is too low to ever answer a query of `largest_batch` samples.
    """
    if rate < largest_batch:
        raise ValueError(f"a query of {largest_batch} samples could never be answered at {rate} per minute")
    dimension = parameter_count(models.original)
    largest_body = 4096 + largest_batch * (8 + 4 * shape[0] * shape[1] * shape[2])
    allowance = Allowance(rate, total)
    # Queries are answered one at a time, because each one uses all cores and memory for a whole batch.
    compute_lock = threading.Lock()

    def check_token(request: Request) -> None:
        authorization = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(authorization, f"Bearer {token}".encode()):
            raise HTTPException(401, "The token is missing or wrong.")

    def answer(body: bytes) -> bytes:
        images, labels = read_query(body, shape, models.classes, largest_batch)
        allowance.spend(len(images))
        with compute_lock:
            vectors = gradient_differences(models.original, models.unlearned, images, labels)
        return safetensors.torch.save({"vectors": vectors.cpu().contiguous()})

    async def describe(request: Request) -> Response:
        check_token(request)
        return JSONResponse(
            {
                "protocol": PROTOCOL,
                "dimension": dimension,
                "shape": list(shape),
                "classes": models.classes,
                "models": models.fingerprint,
                "largest_batch": largest_batch,
            }
        )

    async def differences(request: Request) -> Response:
        check_token(request)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > largest_body:
                raise HTTPException(413, f"The query is too large. The limit is {largest_body} bytes.")
        return Response(await run_in_threadpool(answer, bytes(body)), media_type="application/octet-stream")

    def respond_with_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "the handler is registered for HTTPException only"
        return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)

    return Starlette(
        routes=[
            Route("/v1/oracle", describe),
            Route("/v1/differences", differences, methods=["POST"]),
        ],
        exception_handlers={HTTPException: respond_with_error},
    )


def read_query(
    body: bytes, shape: tuple[int, int, int], classes: int, largest_batch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Parse and validate a query, which anyone with the token may have written.

    Returns:
        The images and the labels.

    Raises:
        HTTPException: The body is not a query, or its images or labels are not valid.
    """
    try:
        query = safetensors.torch.load(body)
        images, labels = query["images"], query["labels"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise HTTPException(400, "A query must be safetensors with 'images' and 'labels'.") from error
    valid = (
        images.dtype == torch.float32
        and labels.dtype == torch.int64
        and labels.ndim == 1
        and 1 <= len(labels) <= largest_batch
        and images.shape == (len(labels), *shape)
        and bool(((images >= 0) & (images <= 1)).all())
        and 0 <= int(labels.min()) <= int(labels.max()) < classes
    )
    if not valid:
        raise HTTPException(
            400,
            f"A query must have 1 to {largest_batch} float32 images of shape {list(shape)} in [0, 1], and int64 labels "
            f"from 0 to {classes - 1}.",
        )
    return images, labels


def main() -> None:
    """Load the models and start the server."""
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
    parser.add_argument("--host", default="127.0.0.1", help="use another address only behind TLS")
    parser.add_argument("--port", type=int, default=8800)
    parser.add_argument("--largest-batch", type=int, default=64)
    parser.add_argument("--rate", type=int, default=6000, help="samples per minute")
    parser.add_argument("--total", type=int, help="samples in total; by default there is no limit")
    arguments = parser.parse_args()
    token = os.environ.get(TOKEN, "")
    if len(token) < 16:
        sys.exit(f"Set the environment variable {TOKEN} to a token of at least 16 characters.")
    try:
        models = load_models(
            arguments.model,
            arguments.model_arguments,
            original=arguments.original,
            unlearned=arguments.unlearned,
            samples=torch.rand(2, *arguments.shape),
            classes=1,
            mean=arguments.mean,
            std=arguments.std,
        )
    except PalimpsestError as error:
        sys.exit(str(error))
    app = make_app(
        models,
        shape=tuple(arguments.shape),
        token=token,
        largest_batch=arguments.largest_batch,
        rate=arguments.rate,
        total=arguments.total,
    )
    uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning", limit_concurrency=16)


if __name__ == "__main__":
    main()
