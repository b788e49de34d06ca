"""The client side of the HTTP protocol against misbehaving endpoints; tests/examples has the reference server."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import safetensors.torch
import torch
from tests.support.without import without

from palimpsest.errors import ConfigurationError, MissingDependencyError, OracleError
from palimpsest.oracles import Endpoint, RemoteOracle

Reply = tuple[int, dict[str, str], bytes]
DESCRIPTION = {
    "protocol": "palimpsest-oracle-1",
    "dimension": 5,
    "shape": [1, 2, 2],
    "classes": 3,
    "models": "pair",
    "largest_batch": 8,
}


class Stub:
    """An endpoint that sends prepared replies, and records requests."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.paths: list[str] = []
        self.tokens: list[str | None] = []
        self.piece, self.pause = 2**20, 0.0
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                stub.paths.append(f"{self.command} {self.path}")
                stub.tokens.append(self.headers.get("Authorization"))
                status, headers, body = stub.replies.pop(0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                # The client may have closed the connection.
                with suppress(OSError):
                    for place in range(0, len(body), stub.piece):
                        self.wfile.write(body[place : place + stub.piece])
                        time.sleep(stub.pause)

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def stub() -> Iterator[Stub]:
    opened = Stub()
    yield opened
    opened.close()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def endpoint(stub: Stub, waits: list[float]) -> Endpoint:
    return Endpoint(stub.url, "secret", timeout=300, attempts=4, sleep=waits.append)


@pytest.fixture
def oracle(stub: Stub, endpoint: Endpoint) -> RemoteOracle:
    stub.replies.append(described())
    return RemoteOracle.connect(endpoint)


def described(**changed: object) -> Reply:
    return 200, {}, json.dumps(DESCRIPTION | changed).encode()


def vectors(count: int = 2, dimension: int = 5, value: float = 1.0, name: str = "vectors") -> Reply:
    return 200, {}, safetensors.torch.save({name: torch.full((count, dimension), value)})


def question() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(2, 1, 2, 2), torch.tensor([0, 2])


def test_sends_its_token_and_receives_vectors(stub: Stub, oracle: RemoteOracle) -> None:
    stub.replies.append(vectors())
    assert torch.equal(oracle(*question()), torch.ones(2, 5))
    assert stub.paths == ["GET /v1/oracle", "POST /v1/differences"]
    assert set(stub.tokens) == {"Bearer secret"}
    assert oracle.description.classes == 3


def test_retries_after_the_requested_wait(stub: Stub, oracle: RemoteOracle, waits: list[float]) -> None:
    stub.replies += [(503, {}, b""), (429, {"Retry-After": "7"}, b'{"error": "slowly"}'), vectors()]
    assert oracle(*question()).shape == (2, 5)
    assert waits == [1.0, 7.0]


def test_gives_up_after_its_attempts_with_the_reason(
    stub: Stub, oracle: RemoteOracle, waits: list[float]
) -> None:
    stub.replies += [(500, {"Retry-After": "1e9"}, b'{"error": "out of\\u0007 memory"}')] * 4
    with pytest.raises(OracleError, match=r"in 4 attempts \(500 out of memory\)"):
        oracle(*question())
    assert waits == [60.0] * 3


@pytest.mark.parametrize("status", [301, 400, 401, 403, 413])
def test_a_refusal_is_not_retried(stub: Stub, oracle: RemoteOracle, status: int) -> None:
    stub.replies += [(status, {"Location": "http://127.0.0.1:1"}, b'{"error": "no more"}')]
    with pytest.raises(OracleError, match=f"refused .{status} no more"):
        oracle(*question())


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((200, {}, b"\x00" * 9000), "more than the 4,136 bytes"),
        ((200, {}, b"nonsense"), "safetensors format"),
        (vectors(count=1), "shape"),
        (vectors(dimension=4), "shape"),
        (vectors(value=float("nan")), "not finite"),
        (vectors(name="gradients"), "Only 'vectors' is expected"),
    ],
)
def test_rejects_an_invalid_answer(stub: Stub, oracle: RemoteOracle, reply: Reply, words: str) -> None:
    stub.replies.append(reply)
    with pytest.raises(OracleError, match=words):
        oracle(*question())


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (described(protocol="palimpsest-oracle-9"), "uses the protocol 'palimpsest-oracle-9'"),
        (described(dimension=0), "not a Palimpsest oracle"),
        (described(models="x" * 500), "not a Palimpsest oracle"),
        ((200, {}, b"<html>"), "not a Palimpsest oracle"),
    ],
)
def test_rejects_another_protocol(stub: Stub, endpoint: Endpoint, reply: Reply, words: str) -> None:
    stub.replies.append(reply)
    with pytest.raises(OracleError, match=words):
        RemoteOracle.connect(endpoint)


def test_ignores_a_wait_that_is_not_a_number(stub: Stub, oracle: RemoteOracle, waits: list[float]) -> None:
    stub.replies += [(503, {"Retry-After": wait}, b"") for wait in ("nan", "-inf", "soon")] + [vectors()]
    oracle(*question())
    assert waits == [1.0, 0.0, 4.0]


def test_gives_up_on_an_answer_that_drips(stub: Stub, waits: list[float]) -> None:
    stub.piece, stub.pause = 1, 0.1
    status, headers, body = described()
    # The whole answer would take minutes.
    stub.replies += [(status, headers, body + b" " * 5000)] * 2
    slow = Endpoint(stub.url, "secret", timeout=0.4, attempts=2, sleep=waits.append)
    start = time.monotonic()
    with pytest.raises(OracleError, match=r"no complete answer within oracle\.timeout, 0\.4 s"):
        RemoteOracle.connect(slow)
    assert time.monotonic() - start < 300


def test_does_not_decompress_answers(stub: Stub, endpoint: Endpoint) -> None:
    stub.replies.append((200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * 2**16)))
    with pytest.raises(OracleError, match="not a Palimpsest oracle"):
        RemoteOracle.connect(endpoint)


def test_gives_up_on_a_silent_host() -> None:
    waits: list[float] = []
    silent = Endpoint("http://127.0.0.1:9", "secret", timeout=1, attempts=3, sleep=waits.append)
    with pytest.raises(OracleError, match="in 3 attempts"):
        RemoteOracle.connect(silent)
    assert waits == [1.0, 2.0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Endpoint("http://example.org", "secret"), "in the clear"),
        (lambda: Endpoint("https://example.org", ""), "needs a token"),
        (lambda: Endpoint("https://example.org", "two\nlines"), "has a line break"),
        (lambda: Endpoint("https://", "secret"), "not a valid address"),
        (lambda: Endpoint("https://example.org:port", "secret"), "not a valid address"),
        (lambda: Endpoint("http://[::1", "secret"), "not a valid address"),
        (lambda: Endpoint("https://example.org/a b", "secret"), "not a valid address"),
    ],
)
def test_requires_a_token_and_an_encrypted_connection(make: Callable[[], Endpoint], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()


def test_an_oracle_without_the_http_client_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    without("httpx", monkeypatch)
    with pytest.raises(MissingDependencyError, match=r"An HTTP oracle needs .*'palimpsest-audit\[http\]'"):
        RemoteOracle.connect(Endpoint("http://127.0.0.1:1", "token"))
