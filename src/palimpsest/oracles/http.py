"""An oracle behind an HTTP endpoint that a client runs: the protocol `palimpsest-oracle-1`.

    GET  <url>/v1/oracle       -> JSON {"protocol", "dimension", "shape", "classes", "models", "largest_batch"}
    POST <url>/v1/differences  -> safetensors {"vectors": float32 [n, d]}
         for a safetensors body {"images": float32 [n, channels, height, width] in [0, 1], "labels": int64 [n]}

Both requests carry `Authorization: Bearer <token>`. A refusal is JSON {"error": "a sentence"} with status 400
(malformed query), 401 (missing or wrong token), 403 (query limit reached) or 413 (too large). Requests answered with
429, 500, 502, 503 or 504 are sent again, after `Retry-After` seconds if the header is present.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from palimpsest.errors import ConfigurationError, OracleError
from palimpsest.oracles.cached import check_answer
from palimpsest.system.optional_module import OptionalModule

if TYPE_CHECKING:
    import httpx
else:
    httpx = OptionalModule("httpx", "http", "An HTTP oracle")

PROTOCOL = "palimpsest-oracle-1"
TOKEN = "PALIMPSEST_ORACLE_TOKEN"
"""The environment variable that holds the token, which must not appear in a command line or a configuration."""
_RETRY_STATUS = {429, 500, 502, 503, 504}
_LONGEST_WAIT, _LARGEST_DESCRIPTION = 60.0, 2**16
_HEADER, _LONGEST = 2**12, 200
R = TypeVar("R")


class Description(BaseModel):
    """Self-description of an endpoint."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    protocol: str
    """`palimpsest-oracle-1`."""
    dimension: PositiveInt
    """Length of each vector."""
    shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    """Channels, height and width of the images that the endpoint accepts."""
    classes: PositiveInt
    """Number of classes; labels are 0 to `classes - 1`."""
    models: str = Field(max_length=200)
    """Identifier of the pair of models; another pair has another identifier."""
    largest_batch: PositiveInt
    """Largest number of samples in a query."""


@dataclass(frozen=True)
class Endpoint:
    """Address, credentials and retry settings of an HTTP oracle.

    Args:
        url: `https://...`. Plain `http://` is accepted for this machine only, because the token is sent along.
        token: Bearer token that identifies the auditor to the endpoint.
        timeout: Seconds until a complete answer must have arrived.
        attempts: Number of times that a query is sent before the run ends with an error.
        sleep: Function that waits between attempts; tests replace it.

    Raises:
        ConfigurationError: The address is not valid or not encrypted, or the token is missing or malformed.
    """

    url: str
    token: str
    timeout: float = 120.0
    attempts: int = 5
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        """Validate the address and the token."""
        parts = _address(self.url)
        if parts is None:
            raise ConfigurationError(
                f"The oracle {self.url[:_LONGEST]!r} is not a valid address. Use https://host[:port]."
            )
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ConfigurationError(
                f"The token for {self.url} would be sent in the clear. Use https, or a tunnel to this machine."
            )
        if not self.token:
            raise ConfigurationError(
                f"The oracle {self.url} needs a token. Set the environment variable {TOKEN}."
            )
        if not self.token.isascii() or not self.token.isprintable():
            # The token is a secret, so the message must not quote it.
            raise ConfigurationError(
                f"The token in {TOKEN} has a line break or a character that HTTP headers don't allow. Set it again."
            )


def _address(url: str) -> SplitResult | None:
    """Split the address of a host into its parts; return None if it is not valid."""
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if valid and url.isascii() and url.isprintable() and " " not in url else None


class RemoteOracle:
    """Client of an HTTP oracle. Create it with `connect`, and cache its answers with a `RecordedOracle`.

    Args:
        endpoint: The endpoint to query.
        description: Its self-description.
    """

    def __init__(self, endpoint: Endpoint, description: Description) -> None:
        """Hold the endpoint; nothing is sent."""
        self._endpoint = endpoint
        self.description = description

    @classmethod
    def connect(cls, endpoint: Endpoint) -> Self:
        """Request an endpoint's description.

        Args:
            endpoint: The endpoint to connect to.

        Returns:
            A client of the endpoint.

        Raises:
            OracleError: The endpoint does not answer, refuses, or uses another protocol.
        """
        content = _send(endpoint, "GET", "/v1/oracle", None, _LARGEST_DESCRIPTION)
        try:
            description = Description.model_validate_json(content)
        except ValidationError as error:
            raise OracleError(
                f"{endpoint.url} is not a Palimpsest oracle: {error.errors()[0]['msg']}."
            ) from error
        if description.protocol != PROTOCOL:
            raise OracleError(
                f"{endpoint.url} uses the protocol {description.protocol[:80]!r}. This version requires {PROTOCOL!r}."
            )
        return cls(endpoint, description)

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Query the gradient differences of a batch of samples.

        Args:
            images: At most `largest_batch` images in [0, 1], `[n, channels, height, width]`.
            labels: Their labels, `[n]`.

        Returns:
            Gradient differences `[n, d]`.

        Raises:
            OracleError: The endpoint does not answer, refuses, or sends an invalid answer.
        """
        query = {"images": images.detach().cpu().float().contiguous(), "labels": labels.cpu().contiguous()}
        body = safetensors.torch.save(query)
        dimension = self.description.dimension
        expected = 4 * len(images) * dimension
        content = _send(self._endpoint, "POST", "/v1/differences", body, expected + _HEADER)
        try:
            answer = safetensors.torch.load(content)
        except (SafetensorError, ValueError) as error:
            raise OracleError(
                f"{self._endpoint.url} did not answer in the safetensors format ({error}). Fix the endpoint."
            ) from error
        if set(answer) != {"vectors"}:
            raise OracleError(
                f"{self._endpoint.url} answered with the tensors {sorted(answer)[:5]}. Only 'vectors' is expected."
            )
        return check_answer(answer["vectors"], len(images), dimension)


def _send(endpoint: Endpoint, method: str, path: str, body: bytes | None, limit: int) -> bytes:
    """Send a request until it is answered, and read at most `limit` bytes."""
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
            if response.status_code not in _RETRY_STATUS:
                raise OracleError(
                    f"{url} refused ({reason}). Fix the cause, then run the same command again."
                )
            wait = _retry_after(response, wait)
        if attempt + 1 < endpoint.attempts:
            endpoint.sleep(wait)
    raise OracleError(
        f"{url} did not answer in {endpoint.attempts} attempts ({reason}). Run the same command again to resume."
    )


def _in_time(ask: Callable[[], R], seconds: float) -> R:
    """Run a request in a thread, which is abandoned when the time is over.

    httpx only limits the wait for the next bytes, so an endpoint that keeps sending a byte now and then would block the
    run forever.
    """
    results: list[R | BaseException] = []

    def run() -> None:
        try:
            results.append(ask())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not results:
        raise httpx.ReadTimeout(f"no complete answer within oracle.timeout, {seconds:g} s")
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


def _ask(
    endpoint: Endpoint, method: str, url: str, body: bytes | None, limit: int
) -> "tuple[httpx.Response, bytes]":
    """Send a request once. The answer is not decompressed: a short one may expand to fill the memory."""
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
                    f"{url} answered with more than the {limit:,} bytes of a valid answer. Fix the endpoint."
                )
    return response, bytes(content)


def _reason(content: bytes) -> str:
    """The reason that a refusal gives, as one short line of printable characters."""
    try:
        reason = Refusal.model_validate_json(content).error
    except ValidationError:
        reason = ""
    printable = (character if character.isprintable() else " " for character in reason[:200])
    return " ".join("".join(printable).split())


class Refusal(BaseModel):
    """Body of an endpoint's refusal."""

    error: str
    """The reason, as a sentence."""


def _retry_after(response: "httpx.Response", usual: float) -> float:
    """Seconds to wait as the response requests, limited to a minute, or the usual wait."""
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return usual
    return usual if math.isnan(seconds) else min(max(seconds, 0.0), _LONGEST_WAIT)
