"""An oracle behind an HTTP endpoint of the client's own; docs: the protocol `palimpsest-oracle-1`.

    GET  <url>/v1/oracle       -> JSON {"protocol", "dimension", "shape", "classes", "models", "largest_batch"}
    POST <url>/v1/differences  -> safetensors {"vectors": float32 [n, d]}
         of a body in safetensors {"images": float32 [n, channels, height, width] in [0, 1], "labels": int64 [n]}

Both carry `Authorization: Bearer <token>`. A refusal is JSON {"error": "a sentence"} with status 400 (not a question),
401 (no or another token), 403 (enough questions were answered) or 413 (too large); 429 and 5xx ask to come again, after
`Retry-After` seconds where it is given.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeVar
from urllib.parse import SplitResult, urlsplit

import httpx
import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from palimpsest.errors import ConfigurationError, OracleError
from palimpsest.oracles.cached import check_answer

PROTOCOL = "palimpsest-oracle-1"
TOKEN = "PALIMPSEST_ORACLE_TOKEN"
"""The environment variable that holds the token: it belongs in no command line and no configuration."""
_TRY_AGAIN = {429, 500, 502, 503, 504}
_LONGEST_WAIT, _LARGEST_SMALL_ANSWER = 60.0, 2**16
_HEADER, _LONGEST = 2**12, 200
R = TypeVar("R")


class Description(BaseModel):
    """What an endpoint says of itself."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    protocol: str
    """`palimpsest-oracle-1`."""
    dimension: PositiveInt
    """Length of each vector."""
    shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    """Channels, height and width of the images that it takes."""
    classes: PositiveInt
    """Labels are below this number."""
    models: str = Field(max_length=200)
    """Names the pair of models: another pair has another name."""
    largest_batch: PositiveInt
    """Samples that one question may hold."""


@dataclass(frozen=True)
class Endpoint:
    """Where questions are sent, and how patiently.

    Args:
        url: `https://...`; plain `http://` to this machine only, as a token is sent along.
        token: What the endpoint knows the asker by.
        timeout: Seconds that a whole answer may take.
        attempts: How often a question is sent before it is given up.
        sleep: Waits; for tests.
    """

    url: str
    token: str
    timeout: float = 120.0
    attempts: int = 5
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        parts = _address(self.url)
        if parts is None:
            raise ConfigurationError(
                f"The oracle {self.url[:_LONGEST]!r} is no address: write https://host, with a port where it has one."
            )
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ConfigurationError(
                f"The oracle {self.url} would be sent its token in the clear: use https, or a tunnel to this machine."
            )
        if not self.token:
            raise ConfigurationError(
                f"The oracle {self.url} needs a token: put it in the environment as {TOKEN}."
            )
        if not self.token.isascii() or not self.token.isprintable():
            # Without the token itself: it is a secret.
            raise ConfigurationError(
                f"The token in {TOKEN} has a line break or a letter that no header takes: set it again, without."
            )


def _address(url: str) -> SplitResult | None:
    """The parts of an address of a host, or none where it is something else."""
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if known and url.isascii() and url.isprintable() and " " not in url else None


class RemoteOracle:
    """Asks an endpoint; made by `connect`. Keep its answers with a `RecordedOracle`.

    Args:
        endpoint: Where questions are sent.
        description: What it says of itself.
    """

    def __init__(self, endpoint: Endpoint, description: Description) -> None:
        self._endpoint = endpoint
        self.description = description

    @classmethod
    def connect(cls, endpoint: Endpoint) -> Self:
        """Ask an endpoint what it is.

        Raises:
            OracleError: It does not answer, refuses, or speaks another protocol.
        """
        content = _send(endpoint, "GET", "/v1/oracle", None, _LARGEST_SMALL_ANSWER)
        try:
            description = Description.model_validate_json(content)
        except ValidationError as error:
            raise OracleError(f"{endpoint.url} is no oracle: {error.errors()[0]['msg']}.") from error
        if description.protocol != PROTOCOL:
            raise OracleError(
                f"{endpoint.url} speaks {description.protocol[:80]!r}: this version asks in {PROTOCOL!r}."
            )
        return cls(endpoint, description)

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Gradient differences `[n, d]` of at most `largest_batch` samples.

        Raises:
            OracleError: It does not answer, refuses, or answers something else.
        """
        question = {"images": images.detach().cpu().float().contiguous(), "labels": labels.cpu().contiguous()}
        body = safetensors.torch.save(question)
        dimension = self.description.dimension
        expected = 4 * len(images) * dimension
        content = _send(self._endpoint, "POST", "/v1/differences", body, expected + _HEADER)
        try:
            answer = safetensors.torch.load(content)
        except (SafetensorError, ValueError) as error:
            raise OracleError(
                f"{self._endpoint.url} answered with no safetensors ({error}): mend it."
            ) from error
        if set(answer) != {"vectors"}:
            raise OracleError(f"{self._endpoint.url} answered with {sorted(answer)[:5]}, not with 'vectors'.")
        return check_answer(answer["vectors"], len(images), dimension)


def _send(endpoint: Endpoint, method: str, path: str, body: bytes | None, limit: int) -> bytes:
    """One question, sent until it is answered; at most `limit` bytes are read."""
    url, reason = endpoint.url.rstrip("/") + path, ""
    for attempt in range(endpoint.attempts):
        wait = min(2.0**attempt, _LONGEST_WAIT)
        try:
            response, content = _in_time(lambda: _ask(endpoint, method, url, body, limit), endpoint.timeout)
        except httpx.RequestError as error:
            reason = str(error) or type(error).__name__
        else:
            if response.status_code == 200:
                return content
            reason = f"{response.status_code} {_reason(content)}".strip()
            if response.status_code not in _TRY_AGAIN:
                raise OracleError(
                    f"{url} refused ({reason}): put that right, then run the same command again."
                )
            wait = _asked_wait(response, wait)
        if attempt + 1 < endpoint.attempts:
            endpoint.sleep(wait)
    raise OracleError(
        f"{url} did not answer in {endpoint.attempts} attempts ({reason}): run the same command again to go on where "
        "it stopped."
    )


def _in_time(ask: Callable[[], R], seconds: float) -> R:
    """Ask in a thread that is left to itself when the time is over.

    httpx limits each wait for a byte alone: who sends one now and then would be listened to for ever.
    """
    told: list[R | BaseException] = []

    def run() -> None:
        try:
            told.append(ask())
        except BaseException as error:
            told.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not told:
        raise httpx.ReadTimeout(f"no whole answer within {seconds:g} s, which oracle.timeout sets")
    if isinstance(told[0], BaseException):
        raise told[0]
    return told[0]


def _ask(
    endpoint: Endpoint, method: str, url: str, body: bytes | None, limit: int
) -> tuple[httpx.Response, bytes]:
    """One attempt. Nothing is unpacked: a packed answer of any length may be a bomb."""
    headers = {
        "Authorization": f"Bearer {endpoint.token}",
        "Content-Type": "application/octet-stream",
        "Accept-Encoding": "identity",
    }
    content = bytearray()
    with (
        httpx.Client(timeout=endpoint.timeout, headers=headers) as client,
        client.stream(method, url, content=body) as response,
    ):
        for part in response.iter_raw():
            content += part
            if len(content) > limit:
                raise OracleError(
                    f"{url} answered with more than the {limit:,} bytes that an answer has: mend it."
                )
    return response, bytes(content)


def _reason(content: bytes) -> str:
    """What a refusal says, as one short escape_control_characters line."""
    try:
        told = Refusal.model_validate_json(content).error
    except ValidationError:
        told = ""
    return " ".join("".join(one if one.isprintable() else " " for one in told[:200]).split())


class Refusal(BaseModel):
    """Why an endpoint did not answer."""

    error: str


def _asked_wait(response: httpx.Response, usual: float) -> float:
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return usual
    return usual if math.isnan(seconds) else min(max(seconds, 0.0), _LONGEST_WAIT)
