"""Oracles that lie, stall, break off or answer nonsense: each is named, and none is waited for without end."""

import time

import pytest
import torch

from palimpsest.errors import OracleError
from palimpsest.gradients import GuardedOracle

IMAGES, LABELS = torch.rand(10, 1, 4, 4), torch.zeros(10, dtype=torch.int64)


class Honest:
    dimension = 16

    def differences(self, images, labels):
        yield from images.flatten(1).split(4)


class Hostile(Honest):
    def __init__(self, change):
        self.change = change

    def differences(self, images, labels):
        for index, chunk in enumerate(super().differences(images, labels)):
            yield self.change(chunk) if index == 1 else chunk


class Silent(Honest):
    def differences(self, images, labels):
        yield images[:4].flatten(1)
        time.sleep(30)


class Disconnecting(Honest):
    def differences(self, images, labels):
        yield images[:4].flatten(1)
        raise ConnectionResetError("peer went away")


class Short(Honest):
    def differences(self, images, labels):
        yield images[:7].flatten(1)


class Long(Honest):
    def differences(self, images, labels):
        yield from [images.flatten(1)] * 2


class Forgetful(Honest):
    """Answers from a counter instead of the sample."""

    def differences(self, images, labels):
        yield torch.arange(16.0).expand(len(images), 16) + torch.arange(len(images))[:, None]


def ask(oracle, **settings):
    return torch.cat(list(GuardedOracle(oracle, name="Their oracle", **settings).differences(IMAGES, LABELS)))


def test_honest_answers_pass_unchanged():
    assert torch.equal(ask(Honest()), IMAGES.flatten(1))
    assert GuardedOracle(Honest()).dimension == 16
    GuardedOracle(Honest()).check_consistency(IMAGES, LABELS)


@pytest.mark.parametrize(
    ("oracle", "reason"),
    [
        (Hostile(lambda chunk: chunk * torch.nan), "answer 4 is not finite"),
        (Hostile(lambda chunk: chunk / 0), "answer 4 is not finite"),
        (Hostile(lambda chunk: chunk.double()), r"torch.float64 \(4, 16\)"),
        (Hostile(lambda chunk: chunk[0]), r"\(16,\)"),
        (Hostile(lambda chunk: chunk[:, :3]), "of length 3, not 16: it speaks of another model"),
        (Hostile(lambda chunk: "vectors"), "answered with str"),
        (Disconnecting(), "broke off .ConnectionResetError: peer went away."),
        (Short(), "stopped after 7 of 10"),
        (Long(), "20 answers to 10 questions"),
        (Silent(), "silent for 0.2 s"),
    ],
)
def test_what_can_not_be_true_ends_the_questions_and_names_the_oracle(oracle, reason):
    start = time.monotonic()
    with pytest.raises(OracleError, match=f"Their oracle.*{reason}"):
        ask(oracle, patience=0.2 if isinstance(oracle, Silent) else 10)
    assert time.monotonic() - start < 10


def test_answers_that_do_not_depend_on_the_sample_are_noticed():
    with pytest.raises(OracleError, match="in two ways"):
        GuardedOracle(Forgetful()).check_consistency(IMAGES, LABELS)
