import torch
from tests.support.attack_views import TokenModel, model_view, seeded, tokens

from palimpsest.attacks import TokenInversion
from palimpsest.datasets import TokenSet


def test_tokens_are_reconstructed_at_their_positions() -> None:
    forgotten, auxiliary = tokens(30, 1), tokens(300, 2)
    attack = TokenInversion(epochs=30, hidden=64, queries=4)
    result = attack(model_view(TokenModel, forgotten, auxiliary), generator=seeded())
    assert result.images.dtype == torch.int64
    assert (result.images == forgotten.tokens).double().mean() > 0.8


def test_decode_inverts_targets() -> None:
    samples = tokens(20, 1)
    attack = TokenInversion(embedding=16)
    targets = attack.targets(samples)
    assert targets.shape == (20, 4 * 16)
    assert torch.equal(attack.decode(targets, samples), samples.tokens)


def test_only_tokens_of_the_auxiliary_sequences_are_reconstructed() -> None:
    even = TokenSet("even", 2 * torch.randint(0, 4, (20, 4), generator=seeded()), torch.zeros(20).long(), 2)
    attack = TokenInversion(embedding=16)
    decoded = attack.decode(torch.randn(50, 4 * 16, generator=seeded(1)), even)
    assert set(decoded.unique().tolist()) <= set(even.tokens.unique().tolist())


def test_a_mixture_takes_each_token_from_one_of_the_sequences() -> None:
    first, second = torch.zeros(50, 4).long(), torch.ones(50, 4).long()
    mixed = TokenInversion().mix(first, second, seeded())
    assert set(mixed.unique().tolist()) == {0, 1}
    assert 0.3 < mixed.double().mean() < 0.7
