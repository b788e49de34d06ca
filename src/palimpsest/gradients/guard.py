"""An oracle that somebody else runs: what it answers is checked, and it is not waited for without end."""

import queue
import threading
from collections.abc import Iterator

import torch
from torch import Tensor

from palimpsest.errors import OracleError
from palimpsest.gradients.oracle import Oracle

_END = object()


class GuardedOracle:
    """Passes an oracle's answers on if they can be what they should be; the first that can't ends the attack.

    A lie that is consistent can't be seen in the answers alone: for that there are the proofs, which the verifiers
    compare with the answers.

    Args:
        oracle: Whose answers are checked.
        name: What messages and reports call it.
        patience: Seconds to wait for each chunk of answers.
    """

    def __init__(self, oracle: Oracle, *, name: str = "The oracle", patience: float = 600.0) -> None:
        self._oracle = oracle
        self.name = name
        self.patience = patience

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        return self._oracle.dimension

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Gradient differences of any samples; see `Oracle`.

        Raises:
            OracleError: The oracle broke off, was silent for too long, or answered with another number of vectors, of
                another length or type, or with values that are not finite.
        """
        answered = 0
        for chunk in self._in_time(images, labels):
            self._check(chunk, answered, len(images))
            answered += len(chunk)
            yield chunk
        if answered < len(images):
            raise OracleError(f"{self.name} stopped after {answered} of {len(images)} answers: ask it again.")

    def check_consistency(self, images: Tensor, labels: Tensor, *, tolerance: float = 1e-4) -> None:
        """Ask the same questions twice, the second time in reverse, and compare.

        Args:
            images: Two samples or more.
            labels: Theirs.
            tolerance: The largest distance of two answers, in units of their length.

        Raises:
            OracleError: Two answers to one question differ; or see `differences`.
        """
        forth = torch.cat(list(self.differences(images, labels)))
        back = torch.cat(list(self.differences(images.flip(0), labels.flip(0)))).flip(0)
        apart = (forth - back).norm(dim=1) / forth.norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
        worst = int(apart.argmax())
        if float(apart[worst]) > tolerance:
            raise OracleError(
                f"{self.name} answered question {worst} in two ways, {float(apart[worst]):.3g} of their length apart: "
                "its answers depend on more than the sample, so nothing can be learned from them."
            )

    def _check(self, chunk: object, answered: int, asked: int) -> None:
        if not isinstance(chunk, Tensor) or chunk.ndim != 2 or chunk.dtype != torch.float32:
            shape = (
                f"{chunk.dtype} {tuple(chunk.shape)}" if isinstance(chunk, Tensor) else type(chunk).__name__
            )
            raise OracleError(
                f"{self.name} answered with {shape}: it must be float32 vectors [b, {self.dimension}]."
            )
        if chunk.shape[1] != self.dimension:
            raise OracleError(
                f"{self.name} answered with vectors of length {chunk.shape[1]}, not {self.dimension}: it speaks of "
                "another model."
            )
        if answered + len(chunk) > asked:
            raise OracleError(f"{self.name} gave {answered + len(chunk)} answers to {asked} questions.")
        finite = chunk.isfinite().all(dim=1)
        if not finite.all():
            raise OracleError(
                f"{self.name}'s answer {answered + int((~finite).nonzero()[0])} is not finite: its models diverged, or "
                "it lies."
            )

    def _in_time(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """The oracle's chunks, each waited for no longer than the patience lasts."""
        answers: queue.Queue[object] = queue.Queue(maxsize=1)
        given_up = threading.Event()

        def ask() -> None:
            try:
                for chunk in self._oracle.differences(images, labels):
                    answers.put(chunk)
                    if given_up.is_set():
                        return
                answers.put(_END)
            except Exception as error:  # handed over to the thread that waits
                answers.put(error)

        # A thread that waits for a silent oracle can't be ended: as a daemon it does not keep the program alive.
        threading.Thread(target=ask, daemon=True).start()
        try:
            while True:
                answer = answers.get(timeout=self.patience)
                if answer is _END:
                    return
                if isinstance(answer, OracleError):
                    raise answer
                if isinstance(answer, Exception):
                    reason = " ".join(str(answer).split())[:200]
                    raise OracleError(
                        f"{self.name} broke off ({type(answer).__name__}{f': {reason}' if reason else ''}): start it "
                        "again and repeat the command; finished stages are kept."
                    ) from answer
                yield answer  # pyright: ignore[reportReturnType]  (checked by the caller)
        except queue.Empty:
            raise OracleError(
                f"{self.name} was silent for {self.patience:g} s: see to it and repeat the command; finished stages "
                "are kept."
            ) from None
        finally:
            given_up.set()
