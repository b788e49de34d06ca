"""Validation of clients' proofs: faulty clients get a reason, and the other proofs are used."""

import inspect

import pytest
import torch

from palimpsest.proofs import Delivery, Proofs, misplaced, receive_proofs

MODELS = {"original": "aa" * 32, "unlearned": "bb" * 32}


def proofs(seed, count=3, dimension=8, **claims):
    vectors = torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed))
    return Proofs(vectors, {**MODELS, **claims})


def receive(*deliveries, asked=None, known=()):
    asked = asked or dict.fromkeys((2, 5, 7), 3)
    untrusted = [Delivery(client, sent.vectors, sent.metadata) for client, sent in deliveries]
    return receive_proofs(untrusted, asked, dimension=8, known=known, **MODELS)


def with_value(value):
    broken = proofs(5).vectors.clone()
    broken[1, 3] = value
    return Proofs(broken, dict(MODELS))


def test_returns_honest_proofs_in_the_order_of_the_clients():
    received = receive((7, proofs(7)), (2, proofs(2)), (5, proofs(5)))
    assert received.faults == {}
    assert received.owners.tolist() == [2, 2, 2, 5, 5, 5, 7, 7, 7]
    assert torch.equal(received.vectors, torch.cat([proofs(client).vectors for client in (2, 5, 7)]))
    assert len(received.digests) == 9


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (with_value(torch.nan), "Its proof 1 has values that are not finite."),
        (with_value(torch.inf), "Its proof 1 has values that are not finite."),
        (with_value(1e30), "Its proof 1 has values that are too large for gradients."),
        (proofs(5, dimension=9), "Sent proofs of length 9, not 8. They belong to another model."),
        (proofs(5, count=2), "Sent 2 proofs instead of 3."),
        (
            proofs(5, unlearned="cc" * 32),
            "Its proofs are for the unlearned model 'cccccccccccc' instead of 'bbbbbbbbbbbb'.",
        ),
        (Proofs(proofs(5).vectors[[0, 1, 1]], dict(MODELS)), "Its proof 1 appears twice."),
    ],
)
def test_excludes_a_client_with_a_faulty_proof(broken, reason):
    received = receive((2, proofs(2)), (5, broken), (7, proofs(7)))
    assert received.faults == {5: reason}
    assert received.owners.tolist() == [2, 2, 2, 7, 7, 7]


def test_excludes_both_clients_of_a_replayed_proof():
    stolen = Proofs(torch.cat([proofs(2).vectors[:1], proofs(5).vectors[1:]]), dict(MODELS))
    received = receive((2, proofs(2)), (5, stolen), (7, proofs(7)))
    assert received.faults == {
        2: "Its proof 0 was also sent by client 5.",
        5: "Its proof 0 was also sent by client 2.",
    }
    assert received.owners.tolist() == [7, 7, 7]


def test_recognizes_a_proof_of_an_earlier_request():
    earlier = receive((2, proofs(2)), asked={2: 3})
    received = receive((2, proofs(2)), asked={2: 3}, known=earlier.digests)
    assert received.faults == {2: "Its proof 0 was already sent for another request."}
    assert received.vectors.shape == (0, 8)


def test_excludes_silent_unrequested_and_repeated_deliveries():
    received = receive((2, proofs(2)), (9, proofs(9)), (5, proofs(5)), (5, proofs(6)))
    assert received.faults == {
        5: "Sent proofs that it was not asked for.",
        7: "Sent no proofs.",
        9: "Sent proofs that it was not asked for.",
    }
    assert received.owners.tolist() == [2, 2, 2]


def test_uses_and_reports_unattested_proofs():
    received = receive((2, Proofs(proofs(2).vectors)), (5, proofs(5)), (7, proofs(7)))
    assert received.unattested == (2,)
    assert len(received.vectors) == 9


def test_finds_proofs_of_other_samples():
    expected = proofs(0, count=6, dimension=50).vectors
    noisy = expected + 0.1 * proofs(1, count=6, dimension=50).vectors
    assert misplaced(noisy, expected) == {}
    assert misplaced(noisy[[1, 0, 2, 3, 4, 5]], expected) == {0: 1, 1: 0}
    assert misplaced(noisy[[0, 1, 2, 2, 4, 5]], expected) == {3: 2}


@pytest.mark.parametrize(
    "nonsense", [None, "vectors", torch.ones(3), torch.ones(3, 8).double(), [[1, 2], [3]], {}]
)
def test_rejects_a_delivery_without_valid_proofs(nonsense):
    received = receive_proofs([Delivery(2, nonsense)], {2: 3}, dimension=8, **MODELS)
    assert received.faults[2].startswith("Sent no valid proofs: ")


def test_accepts_values_up_to_2_to_the_60():
    assert receive((2, proofs(2)), (5, with_value(2.0**60)), (7, proofs(7))).faults == {}
    assert 5 in receive((2, proofs(2)), (5, with_value(1.5 * 2.0**60)), (7, proofs(7))).faults


def test_the_default_margin_is_a_hundredth():
    assert inspect.signature(misplaced).parameters["margin"].default == 0.01
