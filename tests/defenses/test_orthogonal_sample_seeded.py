import hashlib

import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.defenses import SampleSeededObfuscation
from palimpsest.randomness import make_generator


def obfuscate(proofs, seed=0, **settings):
    return SampleSeededObfuscation(**settings)(proofs, generator=make_generator(seed))


def proofs_of(seed, d=200):
    return torch.randn(3, d, generator=make_generator(seed))


@given(st.integers(0, 2**31), st.integers(2, 200), st.permutations(range(3)))
def test_gives_the_same_result_for_any_generator_and_order(seed, d, order):
    proofs = proofs_of(seed, d)
    assert torch.equal(obfuscate(proofs, seed=2)[order], obfuscate(proofs[order], seed=3))


@given(st.integers(0, 2**31), st.integers(2, 200))
def test_is_orthogonal_and_keeps_the_norm(seed, d):
    proofs = proofs_of(seed, d)
    defended = obfuscate(proofs)
    assert torch.nn.functional.cosine_similarity(defended.double(), proofs.double()).abs().max() < 1e-5
    torch.testing.assert_close(defended.norm(dim=1), proofs.norm(dim=1), rtol=1e-5, atol=0)


def test_another_key_or_a_changed_bit_gives_another_result():
    proofs = proofs_of(0)
    nudged = proofs.clone()
    nudged[:, 0] = torch.nextafter(nudged[:, 0], torch.tensor(torch.inf))
    result = obfuscate(proofs)
    for other in (obfuscate(proofs, key=1), obfuscate(nudged)):
        assert torch.nn.functional.cosine_similarity(result, other).abs().max() < 0.4


def test_the_sign_of_zero_does_not_matter():
    assert torch.equal(
        obfuscate(torch.tensor([[0.0, 1.0, 2.0]])), obfuscate(torch.tensor([[-0.0, 1.0, 2.0]]))
    )


def test_does_not_publish_the_key():
    assert SampleSeededObfuscation(key=12345).model_dump() == {"rescale": True}


def test_another_party_has_another_key():
    defense = SampleSeededObfuscation(key=12345, rescale=False)
    other = defense.rekeyed(make_generator(0))
    assert other.key != defense.key
    assert other.rescale is False


def test_the_random_vector_is_seeded_by_the_keyed_hash_of_the_proof():
    (proof, *_), noise = proofs_of(3), torch.empty(200)
    SampleSeededObfuscation(key=77).draw(noise, proof, make_generator(0))
    key = (77).to_bytes(8, "big")
    digest = hashlib.blake2b(proof.numpy().tobytes(), digest_size=8, key=key).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") // 2)
    assert torch.equal(noise, torch.empty(200).normal_(generator=generator))
