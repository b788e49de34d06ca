"""Handmade outcomes of an audit and of attacks on artifacts, without training or attacking."""

from dataclasses import replace
from typing import Any

import torch
from tests.support.flat_oracle import FlatOracle, small_images
from torch import nn

from palimpsest.artifacts import AuditorArtifacts, Models, ServerArtifacts, read_artifacts_config
from palimpsest.artifacts.observation import ObservationFile
from palimpsest.artifacts.oracle import OracleSource
from palimpsest.attacks import Reconstruction
from palimpsest.config import FederationConfig, ModelConfig, build_config
from palimpsest.datasets import FederatedData, ImageSet
from palimpsest.federation import Federation, Observation, Round, Training
from palimpsest.metrics import Behavior, Distance, Forgetting, Measured, Membership, Scores, evaluate, measure
from palimpsest.pipeline.results.outcome import Federated, Outcome
from palimpsest.pipeline.stages.scoring import BatchScores, Scored
from palimpsest.proofs import Proofs, verify
from palimpsest.unlearning import Unlearning

TRUTH = small_images(4, seed=1)
AUXILIARY = small_images(6, seed=2)
FOUND = Reconstruction(TRUTH.images / 2, {"loss": [2.0, 1.0]}, {"queries": 6.0})


def scores(truth: ImageSet = TRUTH) -> Scores:
    """Score the reconstructions."""
    return evaluate(
        truth.images / 2, truth, AUXILIARY, bootstrap=10, generator=torch.Generator().manual_seed(1)
    )


def proofs_outcome(*, metadata: dict[str, str] | None = None, scored: bool = False, **keys: Any) -> Outcome:
    """Make the outcome of an attack on four proofs of norms 1 to 4, of which tau = 3 accepts three."""
    config = read_artifacts_config(None, {"proofs": "held/proofs.safetensors", "auxiliary": "own", **keys})
    proofs = Proofs(torch.eye(4, 300) * torch.arange(1.0, 5.0)[:, None], metadata or {})
    source = OracleSource(FlatOracle(), "six directions", "", None, None)
    held = AuditorArtifacts(proofs, None, AUXILIARY, TRUTH, source, (), ("A note of the artifacts.",))
    result = Scored(FOUND, scores()) if scored else Scored(FOUND)
    return Outcome(config, held, result, AUXILIARY, TRUTH if scored else None, verify(proofs, tau=3.0))


def gradients_outcome(*, label_accuracy: float | None = 0.5, **keys: Any) -> Outcome:
    """Make the outcome of an attack on two batches of three retained and two forgotten samples."""
    tree = {"gradients": "seen.safetensors", "auxiliary": "own", "attack": {"name": "dragd"}}
    config = read_artifacts_config(None, {**tree, "observation": {"retained": 3, "forgotten": 2}, **keys})
    observation = Observation({}, {}, torch.rand(2, 7), torch.rand(2, 7), retained=3, forgotten=2)
    models = Models(nn.Identity(), nn.Identity(), nn.Identity(), 1)
    held = ServerArtifacts(ObservationFile(observation, None), models, AUXILIARY, TRUTH, None, ("one",))
    result = Scored(FOUND, scores(), batches=BatchScores(label_accuracy, measured()))
    return Outcome(config, held, result, AUXILIARY, TRUTH)


def measured() -> Measured:
    """Score retained samples."""
    return measure(
        AUXILIARY.images, AUXILIARY.images, bootstrap=10, generator=torch.Generator().manual_seed(1)
    )


def audit_outcome(data: FederatedData, *, server: bool = False, **keys: Any) -> Outcome:
    """Make the outcome of an audit in which client 1 sent NaN or infinity, and client 2 forgot four samples."""
    config = build_config(
        {"data": {"name": "digits"}, "attack": {"name": "dragd" if server else "igf"}, **keys}
    )
    federation = Federation(data, ModelConfig(name="lenet"), FederationConfig(clients=5), 1)
    before = federation.network().state_dict()
    after = {name: value + 1 if value.is_floating_point() else value for name, value in before.items()}
    bad = Round(drawn=(0, 1), used=(0,), excluded={1: "not finite"}, attempts=1, loss=0.5)
    good = replace(bad, drawn=(0, 2), used=(0, 2), excluded={})
    original = Training(before, [2, 0, 1, 0, 0], [bad, good], [])
    rows = torch.arange(4)
    unlearned = Unlearning(
        after, rows, torch.full_like(rows, 2), {2: 1}, [good], {}, ["A note of the method."]
    )
    behaviors = [Behavior(right, 0.8, Membership(0.75, 0.25), retained=0.9) for right in (1.0, 0.5, 0.25)]
    before, after, exact = behaviors
    forgetting = Forgetting(before, after, 20, exact, Distance(1.0, 0.5, 0.1, 0.9))
    result = Scored(FOUND, scores(), batches=BatchScores() if server else None)
    made = Federated(federation, original, unlearned, forgetting)
    return Outcome(config, made, result, AUXILIARY, TRUTH, verify(torch.eye(4), tau=1.0))
