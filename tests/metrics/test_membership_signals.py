import torch
from torch.testing import assert_close

from palimpsest.metrics.membership_signals import confidence, loss, scaled_confidence


def test_signals_equal_their_definitions():
    logits = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 0])
    probabilities = logits.double().softmax(-1)
    expected = torch.stack([probabilities[:, sample, label] for sample, label in enumerate(labels)], dim=1)
    assert_close(confidence(logits, labels), expected)
    assert_close(loss(logits, labels), -expected.log())
    assert_close(scaled_confidence(logits, labels), (expected / (1 - expected)).log())


def test_a_memorized_sample_has_a_finite_scaled_confidence():
    logits = torch.tensor([[200.0, 0.0, 0.0]])
    assert confidence(logits, torch.tensor([0])) == 1
    signal = scaled_confidence(logits, torch.tensor([0]))
    assert_close(signal, torch.tensor([200.0]).double() - torch.tensor(2.0).double().log())
