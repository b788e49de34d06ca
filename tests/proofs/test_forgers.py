import pytest
import torch

from palimpsest.proofs import FORGERS, Evidence, Submission
from palimpsest.randomness import make_generator

REFERENCE = torch.randn(30, 20, generator=make_generator(1))
EVIDENCE = Evidence(REFERENCE, REFERENCE[:5], REFERENCE[:5], REFERENCE[:5])
HONEST = Submission(torch.randn(8, 20, generator=make_generator(2)), REFERENCE[:5])


@pytest.mark.parametrize("name", FORGERS)
def test_a_forgery_has_the_shape_of_an_honest_submission_but_differs(name: str) -> None:
    forged = FORGERS[name](HONEST, EVIDENCE, make_generator(3))
    assert forged.proofs.shape == HONEST.proofs.shape
    assert forged.responses.shape == HONEST.responses.shape
    assert not torch.equal(forged.proofs, HONEST.proofs)
    again = FORGERS[name](HONEST, EVIDENCE, make_generator(3))
    assert torch.equal(forged.proofs, again.proofs)


def test_norms_match_the_forgers_names() -> None:
    def norms(name: str) -> torch.Tensor:
        return FORGERS[name](HONEST, EVIDENCE, make_generator(3)).proofs.norm(dim=1)

    assert norms("zeros").max() == 0
    small = 0.1 * REFERENCE.norm(dim=1).min()
    torch.testing.assert_close(norms("small random vectors"), small.expand(len(HONEST.proofs)))
    usual = REFERENCE.norm(dim=1)
    assert all((usual - norm).abs().min() < 1e-5 for norm in norms("random vectors of usual norm"))


def test_replayed_proofs_are_those_of_other_samples() -> None:
    forged = FORGERS["replayed proofs of other samples"](HONEST, EVIDENCE, make_generator(3))
    assert torch.equal(forged.proofs[1:], HONEST.proofs[:-1])
    assert torch.equal(forged.responses[0], HONEST.responses[-1])


def test_answers_recognized_challenges_honestly() -> None:
    forged = FORGERS["random vectors, challenges recognized"](HONEST, EVIDENCE, make_generator(3))
    assert torch.equal(forged.responses, HONEST.responses)
