"""Client side of the audit: a Flower mod that records the instruction to forget and makes the proofs."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from palimpsest.config import DefenseConfig, explain_validation
from palimpsest.datasets.numbering import Numbering
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
from palimpsest.models import as_classifier, load_parameters
from palimpsest.models.match_names import match_names
from palimpsest.models.state_dicts import StateDict
from palimpsest.proofs import Proofs, describe_trainable, save_proofs
from palimpsest.storage import Parameters, parameters_hash, tensor_hash, write_json

Forgotten = Callable[[Any], tuple[Tensor, Tensor]]
"""Function from Flower's context to the samples that this client forgets, as model inputs, and their labels."""

_INSTRUCTED = "palimpsest.noted"


class ProofMod:
    """Flower mod that proves unlearning: `ClientApp(mods=[ProofMod(Net, forgotten)])`.

    When the server's instruction to forget arrives, the mod records which samples it concerns and passes the message
    on. When the server then requests proofs, the mod answers once, with the gradient differences of those samples. The
    samples themselves never leave the client. A client without an instruction, or whose samples have changed since
    then, refuses and gives the reason.

    Args:
        model: Function that creates the app's network. If the app exchanges only the trained part, such as an adapter,
            the function must create the same frozen part each time.
        forgotten: Function that returns the samples to forget. They must be available until the proofs are made.
        folder: Folder for the client's copy of its proofs and of the instruction. If omitted, no copy is kept.
        defenses: Defenses to apply to the proofs before they leave, in order, such as `[{"name": "orthogonal"}]`.
        instruction: Key of the app's configuration that instructs a client to forget.
        class_names: Names of all classes in the model's order, recorded with the proofs. If omitted, none are.
        memory_budget: Bytes that the computation of the proofs may take.

    Raises:
        ConfigurationError: A class name occurs twice, or a defense is unknown or does not accept one of its settings.
    """

    def __init__(
        self,
        model: Callable[[], nn.Module],
        forgotten: Forgotten,
        *,
        folder: str | Path | None = None,
        defenses: Sequence[Mapping[str, Any]] = (),
        instruction: str = INSTRUCTION,
        class_names: Sequence[str] = (),
        memory_budget: int = DEFAULT_BUDGET,
    ) -> None:
        """Build the defenses."""
        self.model, self.forgotten = model, forgotten
        self.folder = None if folder is None else Path(folder)
        self.instruction = instruction
        self.memory_budget = memory_budget
        if len(set(class_names)) < len(class_names):
            raise ConfigurationError(f"class_names has a name twice: {', '.join(class_names)[:200]}.")
        self.numbering = Numbering(tuple(class_names), "class_names of the app") if class_names else None
        try:
            self.defenses = [DefenseConfig.model_validate(defense).build() for defense in defenses]
        except ValidationError as error:
            raise ConfigurationError(f"defenses: {explain_validation(error)}") from error

    def __call__(self, message: Any, context: Any, call_next: Callable[[Any, Any], Any]) -> Any:
        """Answer a request for proofs; pass every other message on, and record an instruction to forget."""
        if REQUEST in message.content:
            return self._answer(message, context)
        if instructs(message, self.instruction):
            self._record_instruction(context)
        return call_next(message, context)

    def _record_instruction(self, context: Any) -> None:
        """Record the samples to forget in the state that Flower keeps for the client."""
        from flwr.app import ConfigRecord

        samples, labels = self.forgotten(context)
        record: dict[str, Any] = {"samples": len(samples), "digest": tensor_hash(samples, labels)}
        if dict(context.state.config_records.get(_INSTRUCTED, {})) != record:
            context.state[_INSTRUCTED] = ConfigRecord(record)
            self._write(context, "instruction", record)

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
        record = context.state.config_records.get(_INSTRUCTED)
        if record is None:
            raise FederationError(
                f"This client has no instruction to forget. Send it {self.instruction!r} first."
            )
        samples, labels = self.forgotten(context)
        if tensor_hash(samples, labels) != record["digest"]:
            raise FederationError(
                "The samples to forget have changed since the instruction. Keep them until their proofs are made."
            )
        states = [unpack_parameters(message.content[name]) for name in (ORIGINAL, UNLEARNED)]
        before, after = (self._load(state) for state in states)
        if len(samples):
            before, after = (as_classifier(model, samples) for model in (before, after))
        vectors = gradient_differences(before, after, samples, labels, memory_budget=self.memory_budget)
        # The generator is the client's secret, so it must not depend on the run's seed.
        generator = torch.Generator().manual_seed(secrets.randbits(63))
        if len(vectors):
            vectors = apply_defenses(vectors.cpu(), self.defenses, generator=generator)
        metadata = {
            "original": parameters_hash(states[0]),
            "unlearned": parameters_hash(states[1]),
            "loss": "cross_entropy",
            "mode": "eval",
            "order": "named_parameters",
            "client": _client_name(context),
            "defenses": json.dumps(describe(self.defenses)),
            **describe_trainable(before),
            **(self.numbering.to_metadata() if self.numbering else {}),
        }
        proofs = Proofs(vectors, metadata)
        # Only one request is answered: a second could name other models, and two differences reveal more than one.
        del context.state[_INSTRUCTED]
        if self.folder is not None and len(vectors):
            save_proofs(self.folder / f"proofs-{context.run_id}-{_client_name(context)}.safetensors", proofs)
        return proofs

    def _load(self, state: Parameters) -> nn.Module:
        """Return the app's network with exchanged parameters, which may be only those of an adapter."""
        network = self.model()
        if state.keys() != network.state_dict().keys():
            state = match_names([StateDict("", dict(state))], network, twin=self.model()).parameters
        return load_parameters(network, state).eval()

    def _write(self, context: Any, kind: str, content: Mapping[str, Any]) -> None:
        if self.folder is not None:
            write_json(self.folder / f"{kind}-{context.run_id}-{_client_name(context)}.json", content)


def _client_name(context: Any) -> str:
    """Return the app's name for this client: its partition-id, or else Flower's number of its node."""
    return str(context.node_config.get("partition-id", context.node_id))
