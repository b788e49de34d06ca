"""Guarantees of every registered defense."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from palimpsest.defenses import Defense, SampleSeededObfuscation, fill_normal, row_by_row
from palimpsest.errors import ProofError
from palimpsest.randomness import make_generator
from palimpsest.registry import DEFENSES

SMALL = {"project": {"dimensions": 3}, "smooth": {"window": 3}}
NAMES = DEFENSES.names()
NOISY = ("gaussian", "clip-noise")

values = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)
proof_sets = st.tuples(st.integers(0, 7), st.integers(4, 40)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=values)
)


def build(name: str) -> Defense:
    return DEFENSES.get(name)(**SMALL.get(name, {}))


def run(name: str, proofs: Tensor, seed: int = 0) -> Tensor:
    return build(name)(proofs, generator=make_generator(seed))


def test_built_in_defenses_are_registered():
    assert {"prune", "sign", "gaussian", "perturb", "smooth", "orthogonal"} <= set(NAMES)
    assert {"orthogonal-sample-seeded", "clip-noise", "norm-only", "project"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_defense_and_setting_is_documented(name):
    component = DEFENSES.get(name)
    assert component.__doc__
    assert component.source
    assert all(field.description for field in component.model_fields.values())


@pytest.mark.parametrize("name", NAMES)
@given(array=proof_sets, cuts=st.lists(st.integers(0, 7), max_size=3), seed=st.integers(0, 2**31))
def test_chunks_equal_one_call(name, array, cuts, seed):
    proofs = torch.from_numpy(array)
    generator = make_generator(seed)
    chunks = torch.tensor_split(proofs, sorted(min(cut, len(proofs)) for cut in cuts))
    streamed = torch.cat([build(name)(chunk, generator=generator) for chunk in chunks])
    assert torch.equal(streamed, run(name, proofs, seed))


@pytest.mark.parametrize("name", NAMES)
def test_chunks_equal_one_call_with_many_coordinates_and_threads(name):
    # There are more coordinates than PyTorch's grain of 32,768, so that threads share a row. Their number is odd, so
    # that rows start at every alignment.
    proofs = torch.randn(5, 40_003, generator=make_generator(1)) * 1e-3
    generator = make_generator(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        streamed = torch.cat([build(name)(chunk, generator=generator) for chunk in proofs.split(2)])
        assert torch.equal(streamed, run(name, proofs))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("name", NAMES)
@given(array=proof_sets)
def test_a_seed_gives_the_same_bits_and_the_input_is_not_modified(name, array):
    proofs = torch.from_numpy(array)
    before = proofs.clone()
    state = torch.random.get_rng_state()
    first, second = run(name, proofs), run(name, proofs)
    assert torch.equal(first, second)
    assert torch.equal(proofs, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first.shape == (len(proofs), 3 if name == "project" else proofs.shape[1])
    assert first.dtype == proofs.dtype
    assert proofs.numel() == 0 or first.data_ptr() != proofs.data_ptr()


@pytest.mark.parametrize("name", NAMES)
def test_a_defended_proof_does_not_depend_on_the_others(name):
    proofs = torch.randn(3, 50, generator=make_generator(1))
    others = proofs.clone()
    others[0] = 0
    others[1] *= 1e6
    assert torch.equal(run(name, proofs)[2], run(name, others)[2])


@pytest.mark.parametrize("name", NAMES)
def test_only_additive_noise_changes_a_zero_proof(name):
    defended = run(name, torch.zeros(2, 30))
    assert (defended != 0).any() == (name in NOISY)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_rejects_values_that_are_not_finite_and_names_the_row(name, value):
    proofs = torch.zeros(3, 10)
    proofs[1, 4] = value
    with pytest.raises(ProofError, match=r"Proof 1 .*not finite"):
        run(name, proofs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "proofs",
    [
        torch.zeros(5),
        torch.zeros(2, 0),
        torch.zeros(2, 5, 1),
        torch.zeros(2, 5).int(),
        torch.zeros(2, 5).half(),
    ],
)
def test_rejects_another_shape_or_dtype(name, proofs):
    with pytest.raises(ProofError):
        run(name, proofs)


@pytest.mark.parametrize("name", NAMES)
def test_keeps_float64_and_agrees_with_float32(name):
    proofs = torch.randn(2, 20, generator=make_generator(1), dtype=torch.float64)
    defended = run(name, proofs)
    assert defended.dtype == torch.float64
    if name not in (*NOISY, "perturb", "orthogonal", "orthogonal-sample-seeded"):
        torch.testing.assert_close(defended.float(), run(name, proofs.float()))


@pytest.mark.parametrize("name", NAMES)
def test_accepts_views_and_proofs_that_require_gradients(name):
    proofs = torch.randn(20, 6, generator=make_generator(1))
    view = proofs.t()
    assert not view.is_contiguous()
    expected = run(name, view.contiguous())
    torch.testing.assert_close(run(name, view), expected)
    attached = run(name, view.contiguous().requires_grad_())
    assert torch.equal(attached, expected)
    assert not attached.requires_grad


@pytest.mark.parametrize("name", [name for name in NAMES if name != "orthogonal-sample-seeded"])
def test_rekeying_returns_the_defense_itself_without_secrets(name):
    defense = build(name)
    assert defense.rekeyed(make_generator(0)) is defense


def test_row_by_row_processes_rows_in_order():
    rows = []
    proofs = torch.arange(6.0).reshape(3, 2)

    def write(proof: Tensor, out: Tensor) -> None:
        rows.append(proof.tolist())
        out.copy_(proof[:1])

    assert row_by_row(proofs, write, width=1).tolist() == [[0.0], [2.0], [4.0]]
    assert rows == proofs.tolist()


def test_noise_is_standard_normal():
    noise = fill_normal(torch.empty(200_000), make_generator(0))
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1) < 0.01


def test_accepts_a_generator_on_another_device():
    generator = make_generator(0)
    fill_normal(torch.empty(8, device="meta"), generator)
    after = torch.randn(3, generator=generator)
    expected = make_generator(0)
    torch.randn(8, generator=expected)
    assert torch.equal(after, torch.randn(3, generator=expected))


def test_defaults_are_documented_values():
    papers = {
        "clip-noise": {"clip": 1.0, "epsilon": 8.0, "delta": 1e-5, "releases": 1},
        "gaussian": {"sigma": 0.1},
        "norm-only": {},
        "orthogonal": {"rescale": True},
        "orthogonal-sample-seeded": {"rescale": True},
        "perturb": {"scale": 0.01, "factor": 1.0},
        "project": {"dimensions": 1024, "seed": 0},
        "prune": {"ratio": 0.9},
        "sign": {},
        "smooth": {"window": 5, "alpha": 0.1},
    }
    assert {name: DEFENSES.get(name)().model_dump() for name in papers} == papers
    assert SampleSeededObfuscation().key == 0
    random = {"clip-noise", "gaussian", "orthogonal", "orthogonal-sample-seeded", "perturb"}
    assert {name for name in papers if DEFENSES.get(name).randomized} == random
