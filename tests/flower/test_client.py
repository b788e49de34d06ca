from typing import Any

import pytest
import torch
from tests.support.flower_app import Local, client, instruction_message, request_message

from palimpsest.errors import ConfigurationError

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest-audit[flower]'")


def test_a_client_proves_instructed_samples_once(example: Any) -> None:
    from palimpsest.flower import ProofMod

    count = example.FORGOTTEN

    def samples(context: Any) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = example.forgotten(context)
        return images[:count], labels[:count]

    mod = ProofMod(example.Net, samples)
    grid = Local(client(example, mod))

    def ask() -> str:
        (reply,) = grid.send_and_receive([request_message(example)])
        refusal = reply.content.config_records.get("palimpsest.refusal", {})
        return str(refusal.get("reason", ""))

    assert "no instruction to forget" in ask()
    grid.send_and_receive([instruction_message(example)])
    assert ask() == ""
    assert "no instruction to forget" in ask()
    grid.send_and_receive([instruction_message(example)])
    count -= 1
    assert "have changed since the instruction" in ask()


def test_applies_defenses_before_sending_proofs(example: Any) -> None:
    from palimpsest.flower import ProofMod

    mods = [
        ProofMod(example.Net, example.forgotten, defenses=[{"name": name}]) for name in ("sign", "orthogonal")
    ]
    vectors = []
    for mod in mods:
        grid = Local(client(example, mod))
        grid.send_and_receive([instruction_message(example)])
        (reply,) = grid.send_and_receive([request_message(example)])
        vectors.append(torch.from_numpy(reply.content["palimpsest.proofs"]["vectors"].numpy().copy()))
    assert set(vectors[0].unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert "orthogonal" in reply.content["palimpsest.metadata"]["defenses"]
    with pytest.raises(ConfigurationError, match="did you mean 'sign'"):
        ProofMod(example.Net, example.forgotten, defenses=[{"name": "sing"}])
