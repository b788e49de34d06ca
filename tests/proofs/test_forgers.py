import pytest
import torch

from palimpsest.proofs import FORGERS, Evidence, Submission
from palimpsest.randomness import make_generator

OWN = torch.randn(30, 20, generator=make_generator(1))
EVIDENCE = Evidence(OWN, OWN[:5], OWN[:5], OWN[:5])
HONEST = Submission(torch.randn(8, 20, generator=make_generator(2)), OWN[:5])


@pytest.mark.parametrize("name", FORGERS)
def test_a_forgery_has_an_honest_submissions_shape_and_is_no_honest_one(name: str) -> None:
    forged = FORGERS[name](HONEST, EVIDENCE, make_generator(3))
    assert forged.proofs.shape == HONEST.proofs.shape
    assert forged.responses.shape == HONEST.responses.shape
    assert not torch.equal(forged.proofs, HONEST.proofs)
    again = FORGERS[name](HONEST, EVIDENCE, make_generator(3))
    assert torch.equal(forged.proofs, again.proofs)


def test_norms_are_what_the_names_say() -> None:
    def norms(name: str) -> torch.Tensor:
        return FORGERS[name](HONEST, EVIDENCE, make_generator(3)).proofs.norm(dim=1)

    assert norms("zeros").max() == 0
    small = 0.1 * OWN.norm(dim=1).min()
    torch.testing.assert_close(norms("small random vectors"), small.expand(len(HONEST.proofs)))
    usual = OWN.norm(dim=1)
    assert all((usual - norm).abs().min() < 1e-5 for norm in norms("random vectors of usual norm"))


def test_replayed_proofs_are_others_own() -> None:
    forged = FORGERS["replayed proofs of other samples"](HONEST, EVIDENCE, make_generator(3))
    assert torch.equal(forged.proofs[1:], HONEST.proofs[:-1])
    assert torch.equal(forged.responses[0], HONEST.responses[-1])


def test_who_recognizes_the_challenges_answers_those_honestly() -> None:
    forged = FORGERS["random vectors, challenges recognized"](HONEST, EVIDENCE, make_generator(3))
    assert torch.equal(forged.responses, HONEST.responses)
