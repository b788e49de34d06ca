import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.randomness import derive_seed, fork, make_generator


@given(st.integers(0, 2**40), st.text(max_size=5), st.integers(0, 99))
def test_seed_depends_only_on_run_and_purpose(seed: int, name: str, number: int) -> None:
    derived = derive_seed(seed, name, number)
    assert derived == derive_seed(seed, name, number)
    assert derived not in (derive_seed(seed + 1, name, number), derive_seed(seed, name, number + 1))
    assert 0 <= derived < 2**63


def test_generators_do_not_change_the_global_state() -> None:
    before = torch.random.get_rng_state()
    generator = make_generator(1, "a")
    torch.rand(3, generator=generator)
    fork(generator)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_purposes_have_different_streams() -> None:
    draws = {
        torch.rand((), generator=make_generator(7, *purpose)).item() for purpose in [("a",), ("b",), ("a", 1)]
    }
    assert len(draws) == 3


def test_a_renamed_purpose_keeps_the_seed_of_its_first_name() -> None:
    # The seed of the published figures, from version 0.1.
    assert derive_seed(1234, "linkage") == 5159239353037184632
    assert derive_seed(1234, "defense", 0) != derive_seed(1234, "defenses", 0)
