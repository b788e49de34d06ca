"""The client's side: a mod that notes the instruction to forget, and proves what came of it."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from palimpsest.config import DefenseConfig, explain_validation
from palimpsest.defenses import apply_defenses, describe
from palimpsest.errors import ConfigurationError, FederationError, PalimpsestError
from palimpsest.federation.flower_records import pack_parameters, unpack_parameters
from palimpsest.flower.messages import (
    INSTRUCTION,
    METADATA,
    ORIGINAL,
    PROOFS,
    REFUSAL,
    REQUEST,
    UNLEARNED,
    instructs,
)
from palimpsest.gradients import DEFAULT_BUDGET, gradient_differences
from palimpsest.models import load_parameters
from palimpsest.proofs import Proofs, save_proofs
from palimpsest.storage import parameters_hash, tensor_hash, write_json

Forgotten = Callable[[Any], tuple[Tensor, Tensor]]
"""From Flower's context to the samples that this client forgets, as its model takes them, and their labels."""

_NOTED = "palimpsest.noted"


class ProofMod:
    """A Flower mod: `ClientApp(mods=[ProofMod(Net, forgotten)])`.

    When the server's instruction to forget arrives, it notes which samples are meant, and hands the message on. When
    the server then asks for proofs, it answers itself, once, with the gradient differences of those samples; the
    samples stay where they are. A client that was not told to forget, or has other samples now, refuses in a sentence.

    Args:
        model: Makes the app's network.
        forgotten: Gives the samples to forget; they must be there until the proofs are made.
        folder: Where the client keeps its own copy of its proofs and of what it was told; none keeps none.
        defenses: What is done to the proofs before they leave, such as `[{"name": "orthogonal"}]`, in order.
        instruction: The key of the app's configuration that tells a client to forget.
        memory_budget: Bytes that making proofs may take.

    Raises:
        ConfigurationError: There is no such defense, or it does not take such a setting.
    """

    def __init__(
        self,
        model: Callable[[], nn.Module],
        forgotten: Forgotten,
        *,
        folder: str | Path | None = None,
        defenses: Sequence[Mapping[str, Any]] = (),
        instruction: str = INSTRUCTION,
        memory_budget: int = DEFAULT_BUDGET,
    ) -> None:
        self.model, self.forgotten = model, forgotten
        self.folder = None if folder is None else Path(folder)
        self.instruction = instruction
        self.memory_budget = memory_budget
        try:
            self.defenses = [DefenseConfig.model_validate(one).build() for one in defenses]
        except ValidationError as error:
            raise ConfigurationError(f"defenses: {explain_validation(error)}") from error

    def __call__(self, message: Any, context: Any, call_next: Callable[[Any, Any], Any]) -> Any:
        """Note an instruction and hand it on, or answer a request for proofs."""
        if REQUEST in message.content:
            return self._answer(message, context)
        if instructs(message, self.instruction):
            self._note(context)
        return call_next(message, context)

    def _note(self, context: Any) -> None:
        """Remember, in the state that Flower keeps for the client, which samples are to be forgotten."""
        from flwr.app import ConfigRecord

        samples, labels = self.forgotten(context)
        noted: dict[str, Any] = {"samples": len(samples), "digest": tensor_hash(samples, labels)}
        if dict(context.state.config_records.get(_NOTED, {})) != noted:
            context.state[_NOTED] = ConfigRecord(noted)
            self._write(context, "instruction", noted)

    def _answer(self, message: Any, context: Any) -> Any:
        from flwr.app import ConfigRecord, Message, RecordDict

        try:
            proofs = self._prove(message, context)
        except PalimpsestError as error:
            refusal = RecordDict({REFUSAL: ConfigRecord({"reason": str(error)})})
            return Message(content=refusal, reply_to=message)
        content = {
            PROOFS: pack_parameters({"vectors": proofs.vectors}),
            METADATA: ConfigRecord(dict(proofs.metadata)),
        }
        return Message(content=RecordDict(content), reply_to=message)

    def _prove(self, message: Any, context: Any) -> Proofs:
        noted = context.state.config_records.get(_NOTED)
        if noted is None:
            raise FederationError(
                f"This client was not told to forget anything: send it {self.instruction!r} first."
            )
        samples, labels = self.forgotten(context)
        if tensor_hash(samples, labels) != noted["digest"]:
            raise FederationError(
                "The samples to forget are not those of the instruction any more: keep them until they are proven."
            )
        states = [unpack_parameters(message.content[name]) for name in (ORIGINAL, UNLEARNED)]
        before, after = (load_parameters(self.model(), state) for state in states)
        vectors = gradient_differences(before, after, samples, labels, memory_budget=self.memory_budget)
        # The client's own secret, which no seed of the run gives away.
        generator = torch.Generator().manual_seed(secrets.randbits(63))
        if len(vectors):
            vectors = apply_defenses(vectors.cpu(), self.defenses, generator=generator)
        metadata = {
            "original": parameters_hash(states[0]),
            "unlearned": parameters_hash(states[1]),
            "loss": "cross_entropy",
            "mode": "eval",
            "order": "named_parameters",
            "client": _name(context),
            "defenses": json.dumps(describe(self.defenses)),
        }
        proofs = Proofs(vectors, metadata)
        # A second request could be for other models, and two differences say more than one.
        del context.state[_NOTED]
        if self.folder is not None and len(vectors):
            save_proofs(self.folder / f"proofs-{context.run_id}-{_name(context)}.safetensors", proofs)
        return proofs

    def _write(self, context: Any, what: str, content: Mapping[str, Any]) -> None:
        if self.folder is not None:
            write_json(self.folder / f"{what}-{context.run_id}-{_name(context)}.json", content)


def _name(context: Any) -> str:
    """What the app calls this client."""
    return str(context.node_config.get("partition-id", context.node_id))
